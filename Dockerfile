# One small image for the API, the workers and the command line.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# Dependencies first: they change seldom, and Polars takes minutes.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY kernels kernels
# Stand-ins for what the manifest names and an image does not need.
RUN mkdir -p src benches && echo 'fn main() {}' | tee src/main.rs > benches/engine.rs && touch src/lib.rs \
    && cargo build --release --locked --bin candlecast \
    && rm -rf src
COPY src src
COPY migrations migrations
COPY candlecast.example.toml ./
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin candlecast

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/candlecast candlecast \
    && install -d -o candlecast -g candlecast /var/lib/candlecast/data /var/lib/candlecast/models
COPY --from=build /src/target/release/candlecast /usr/local/bin/candlecast
USER candlecast
WORKDIR /var/lib/candlecast
VOLUME ["/var/lib/candlecast/data", "/var/lib/candlecast/models"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["candlecast", "healthcheck"]
ENTRYPOINT ["candlecast"]
CMD ["serve"]
