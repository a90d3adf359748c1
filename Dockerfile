# The command line and the demo, for the CPU or for NVIDIA's GPUs:
#   docker build -t score-hf .
#   docker build -t score-hf:cuda --build-arg TORCH=cu130 .
#   docker run --rm -v "$PWD:/work" score-hf segment photos/ --classes "ship, harbor" -o out
#   docker run --rm -p 7860:7860 score-hf demo
# With a GPU: `docker run --gpus all ... score-hf:cuda ...`. Where your user's number is not 1000,
# `--user "$(id -u)"` lets the results be yours.

FROM python:3.11-slim-bookworm AS build

# A backend of `uv pip install --torch-backend`, and extras of the package.
ARG TORCH=cpu
ARG EXTRAS=geo,demo,export

RUN pip install --no-cache-dir "uv>=0.9,<1"
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY score_hf score_hf
RUN uv venv /opt/score-hf \
    && uv pip install --no-cache --python /opt/score-hf/bin/python --torch-backend "$TORCH" ".[$EXTRAS]"


FROM python:3.11-slim-bookworm

# Rasterio's wheels expect it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home score \
    && install --directory --mode 1777 /work /cache
COPY --from=build /opt/score-hf /opt/score-hf

# Gradio listens to the container alone unless it is told otherwise.
ENV PATH="/opt/score-hf/bin:$PATH" \
    HF_HOME=/cache/huggingface \
    GRADIO_SERVER_NAME=0.0.0.0 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER score
WORKDIR /work
EXPOSE 7860
ENTRYPOINT ["score-hf"]
CMD ["--help"]
