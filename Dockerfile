# The image that `make image` writes without Docker: a static binary in an empty image.
FROM rust:1.95-bookworm AS build
WORKDIR /mynah
COPY . .
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo=/cargo"
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && cargo build --locked --profile image --no-default-features --target "$target" -p mynah \
    && cp "target/$target/image/mynah" /mynah.static

FROM scratch
LABEL org.opencontainers.image.title=mynah org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /mynah.static /mynah
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/mynah"]
