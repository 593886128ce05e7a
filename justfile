# What CI runs.
ci:
    bash .ci/run

# Everything that is generated and committed.
generate:
    cargo run --quiet -- openapi > openapi/openapi.json
    cargo run --quiet -- docs errors > docs/errors.md
    cargo run --quiet -- docs events > docs/events.md
    cargo run --quiet -- docs policy > docs/policy.md
