# syntax=docker/dockerfile:1
# Jetson with JetPack 7, to be built on the Jetson: 7.2 on Orin and Thor, and 7.0 and 7.1 on Thor with
#   --build-arg L4T=r38.2 (or r38.4) --build-arg CUDA=13-0
# CUDA and TensorRT are installed from NVIDIA's packages for Jetson; the driver is that of the host.
#   docker build -f docker/jetpack7.Dockerfile -t fer_edge .
#   docker run --rm --runtime nvidia -v fer_edge_engines:/engines fer_edge
FROM ubuntu:24.04
ARG L4T=r39.2
ARG CUDA=13-2
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates g++ python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
ADD --chmod=644 https://repo.download.nvidia.com/jetson/jetson-ota-public.asc /usr/share/keyrings/jetson.asc
# The environment sees the packages of the system, because TensorRT's bindings are one of them.
RUN echo "deb [signed-by=/usr/share/keyrings/jetson.asc] https://repo.download.nvidia.com/jetson/common ${L4T} main" \
    > /etc/apt/sources.list.d/jetson.list \
 && apt-get update \
 && apt-get install --yes --no-install-recommends "cuda-toolkit-${CUDA}" python3-libnvinfer \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv --system-site-packages /opt/fer_edge
# 87: Orin; 110: Thor
ENV CUDA_HOME=/usr/local/cuda FER_EDGE_CUDA=1 FER_EDGE_CUDA_ARCHITECTURES="87 110" PATH=/opt/fer_edge/bin:$PATH
RUN --mount=type=bind,target=/source,rw \
    LIBRARY_PATH=/usr/local/cuda/lib64/stubs pip install --no-cache-dir '/source[opencv,gpu]'
# Engines are built on the device, because TensorRT needs the GPU for it:
#   docker run --rm --runtime nvidia -v fer_edge_engines:/engines fer_edge \
#     build face-luma tkfnet-nano-float32 --for this --out /engines
RUN useradd --create-home --groups video fer_edge \
 && install --directory --mode=700 --owner=fer_edge --group=fer_edge /engines
VOLUME /engines
USER fer_edge
ENTRYPOINT ["fer-edge"]
CMD ["doctor", "--engines", "/engines"]
