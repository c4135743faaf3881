# initadvisor for ONNX and safetensors files, as a user without rights:
#     docker build -t initadvisor .
#     docker run --rm --network none --read-only -v "$PWD:/work:ro" initadvisor check model.onnx
# With PyTorch for the CPU, for targets that are code:
#     docker build -t initadvisor:torch --build-arg EXTRAS=torch .
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY rules rules
COPY initadvisor initadvisor
RUN python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /dist .

FROM python:${PYTHON}-slim
ARG EXTRAS=""
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=wheel /dist /dist
# The CPU builds of torch and torchvision come from one index; from different ones they do not fit together.
RUN python -m pip install --no-cache-dir --disable-pip-version-check --extra-index-url "${TORCH_INDEX}" \
        "$(echo /dist/initadvisor-*.whl)${EXTRAS:+[${EXTRAS}]}" \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin initadvisor
USER 10001:10001
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /work
ENTRYPOINT ["initadvisor"]
CMD ["--help"]
