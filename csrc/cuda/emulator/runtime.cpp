// The functions of the CUDA runtime that the Python bindings call, for a device that always exists.
#include <cuda_runtime_api.h>

#include "scheduler.h"

cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char* cudaGetErrorName(cudaError_t) { return "emulated"; }

const char* cudaGetErrorString(cudaError_t) { return emulator_message(); }
