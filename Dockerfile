# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY protos protos
COPY client client
COPY server server
COPY evaluators evaluators
COPY graphs graphs
RUN python -m venv /opt/heatproof
RUN /opt/heatproof/bin/pip install --no-cache-dir --constraint constraints.txt '.[server]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home heatproof && install --directory --owner=heatproof /data
COPY --from=build /opt/heatproof /opt/heatproof
ENV PATH=/opt/heatproof/bin:$PATH PYTHONUNBUFFERED=1 HEATPROOF_DATA_DIR=/data
USER heatproof
VOLUME /data
EXPOSE 50051
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-m", "heatproof.server.api.health_check", "127.0.0.1:50051"]
# The container's port is reachable through the published one only, which compose binds to 127.0.0.1.
CMD ["python", "-m", "heatproof.server", "--address", "0.0.0.0:50051", "--insecure"]
