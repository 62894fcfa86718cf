# The gateway only. Build context: a directory with the static binary and the CA certificates, see
# docs/deployment.md, "Images".
FROM scratch
COPY --chmod=0444 ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0555 gateway /usr/local/bin/gateway
USER 65532:65532
EXPOSE 8443 8080 9090
ENTRYPOINT ["/usr/local/bin/gateway"]
CMD ["run", "--config", "/etc/gatehouse/gateway.toml"]
