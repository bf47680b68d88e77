// A double of libcuda for the real pycuda: memory is the process's own, streams work at once.
//
// It has what fer_edge calls, and counts what is alive. The other functions that pycuda links to are generated
// (see libraries.py) and fail.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidContext = 201, kUnsupported = 900 };
enum { kDepth = 16, kMost = 64 };
#define REQUIRE_CONTEXT() \
    if (depth == 0) return kInvalidContext

typedef struct {
    void *target;
    const void *source;
    size_t size;
} Copy;
typedef struct {
    int count;
    Copy copies[kMost];
} Graph;

static int64_t memory, pinned, streams, events, graphs, contexts;
static size_t limit = SIZE_MAX;
static __thread void *stack[kDepth];
static __thread int depth;
static Graph *recording;

// memory, pinned memory, streams, events, graphs, contexts, depth of this thread's stack
void double_alive(int64_t *counts) {
    const int64_t found[] = {memory, pinned, streams, events, graphs, contexts, depth};
    memcpy(counts, found, sizeof found);
}
void double_limit(size_t bytes) { limit = bytes; }

int cuInit(unsigned flags) { return flags ? kInvalidValue : kSuccess; }
int cuDriverGetVersion(int *version) { return *version = 13000, kSuccess; }
int cuDeviceGet(int *device, int number) { return *device = number, number ? 101 : kSuccess; }
int cuDeviceGetName(char *name, int size, int device) {
    (void)device;
    strncpy(name, "Double of a GPU", size);
    return kSuccess;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)attribute, (void)device;
    return *value = 0, kSuccess;
}
int cuGetErrorName(int error, const char **name) {
    return *name = error == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR", kSuccess;
}
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }

int cuDevicePrimaryCtxRetain(void **context, int device) {
    (void)device;
    return ++contexts, *context = &contexts, kSuccess;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return (void)device, --contexts, kSuccess; }
int cuCtxPushCurrent_v2(void *context) {
    if (depth == kDepth) return kInvalidValue;
    return stack[depth++] = context, kSuccess;
}
int cuCtxPopCurrent_v2(void **context) {
    REQUIRE_CONTEXT();
    return *context = stack[--depth], kSuccess;
}

static int make(void **made, size_t size, int64_t *counter) {
    REQUIRE_CONTEXT();
    if (size == 0) return kInvalidValue;
    if (size > limit) return kOutOfMemory;
    *made = aligned_alloc(256, (size + 255) / 256 * 256);
    return memset(*made, 0xff, size), ++*counter, kSuccess;
}
static int unmake(void *made, int64_t *counter) {
    REQUIRE_CONTEXT();
    return free(made), --*counter, kSuccess;
}
int cuMemAlloc_v2(void **address, size_t size) { return make(address, size, &memory); }
int cuMemFree_v2(void *address) { return unmake(address, &memory); }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    return (void)flags, make(address, size, &pinned);
}
int cuMemFreeHost(void *address) { return unmake(address, &pinned); }
int cuMemHostGetDevicePointer_v2(void **address, void *host, unsigned flags) {
    return *address = host, flags ? kInvalidValue : kSuccess;
}

int cuStreamCreate(void **stream, unsigned flags) {
    return flags == 1 ? make(stream, 1, &streams) : kInvalidValue;
}
int cuStreamDestroy_v2(void *stream) { return unmake(stream, &streams); }
int cuStreamSynchronize(void *stream) { return (void)stream, recording ? kUnsupported : kSuccess; }
int cuEventCreate(void **event, unsigned flags) {
    return flags == 2 ? make(event, 1, &events) : kInvalidValue;
}
int cuEventDestroy_v2(void *event) { return unmake(event, &events); }
int cuEventRecord(void *event, void *stream) { return event && stream ? kSuccess : kInvalidValue; }
int cuEventSynchronize(void *event) { return event ? kSuccess : kInvalidValue; }

static int copy(void *target, const void *source, size_t size, void *stream) {
    REQUIRE_CONTEXT();
    if (!stream) return kInvalidValue;
    if (recording) {
        if (recording->count == kMost) return kInvalidValue;
        recording->copies[recording->count++] = (Copy){target, source, size};
    } else {
        memcpy(target, source, size);
    }
    return kSuccess;
}
int cuMemcpyHtoDAsync_v2(void *target, const void *source, size_t size, void *stream) {
    return copy(target, source, size, stream);
}
int cuMemcpyDtoHAsync_v2(void *target, const void *source, size_t size, void *stream) {
    return copy(target, source, size, stream);
}
int cuMemcpyDtoDAsync_v2(void *target, const void *source, size_t size, void *stream) {
    return copy(target, source, size, stream);
}
int cuMemsetD8Async(void *target, unsigned char value, size_t size, void *stream) {
    REQUIRE_CONTEXT();
    return memset(target, value, size), stream ? kSuccess : kInvalidValue;
}

int cuStreamBeginCapture_v2(void *stream, int mode) {
    if (!stream || mode != 1 || recording) return kInvalidValue;
    return recording = calloc(1, sizeof *recording), ++graphs, kSuccess;
}
int cuStreamEndCapture(void *stream, void **graph) {
    if (!stream || !recording) return kInvalidValue;
    return *graph = recording, recording = NULL, kSuccess;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    if (!graph || flags) return kInvalidValue;
    *executable = malloc(sizeof(Graph));
    return memcpy(*executable, graph, sizeof(Graph)), ++graphs, kSuccess;
}
int cuGraphLaunch(void *executable, void *stream) {
    const Graph *graph = executable;
    for (int i = 0; i < graph->count; ++i)
        copy(graph->copies[i].target, graph->copies[i].source, graph->copies[i].size, stream);
    return kSuccess;
}
int cuGraphExecDestroy(void *executable) { return free(executable), --graphs, kSuccess; }
int cuGraphDestroy(void *graph) { return free(graph), --graphs, kSuccess; }
