FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home thidua
COPY --from=build /source/target/release/thidua /usr/local/bin/thidua
USER thidua
WORKDIR /home/thidua
EXPOSE 8080
ENTRYPOINT ["thidua"]
CMD ["serve"]
