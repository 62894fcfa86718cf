# The backend only. Build context: a directory with the static binary and the CA certificates, see
# docs/deployment.md, "Images".
FROM scratch
COPY --chmod=0444 ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0555 backend /usr/local/bin/backend
USER 65532:65532
EXPOSE 8081 8082 9091
ENTRYPOINT ["/usr/local/bin/backend"]
CMD ["--role", "all", "--listen", "0.0.0.0:8081"]
