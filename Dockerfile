# One image with all binaries of the suite.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin operator-controller --bin catalogd --bin rukpak

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/operator-controller /src/target/release/catalogd /src/target/release/rukpak /
USER 65532:65532
