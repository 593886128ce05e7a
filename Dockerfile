# Build: the toolchain of rust-toolchain.toml; registry and target directory stay in the builder's cache.
FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked && install -m 0755 target/release/thidua /thidua && mkdir /anchor

# Run: glibc, certificates and nothing else; no shell, no package manager, user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /thidua /usr/local/bin/thidua
# Where the anchor of the log lies; a new volume that is mounted here is given this owner.
COPY --from=build --chown=65532:65532 /anchor /var/lib/thidua
WORKDIR /home/nonroot
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/thidua"]
CMD ["serve"]
