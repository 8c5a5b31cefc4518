# One image with all binaries of the suite.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin operator-controller --bin catalogd --bin rukpak

# rukpak fetches from git repositories by git and ssh; the other binaries start no program.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --user-group --no-create-home --shell /usr/sbin/nologin nonroot
COPY --from=build /src/target/release/operator-controller /src/target/release/catalogd /src/target/release/rukpak /
USER 65532:65532
