# What CI runs.
ci:
    bash .ci/run

# Everything that is generated and committed.
generate:
    THIDUA_REFRESH_EXAMPLES=1 cargo test --quiet --test it examples::sqlite
    cargo run --quiet -- openapi > openapi/openapi.json
    cargo run --quiet -- docs errors > docs/errors.md
    cargo run --quiet -- docs events > docs/events.md
    cargo run --quiet -- docs policy > docs/policy.md
    cargo run --quiet -- docs configuration > docs/configuration.md
