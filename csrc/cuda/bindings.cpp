// The Python bindings of the kernels. Arguments are addresses and sizes; CUDA's errors become exceptions.
// This file knows no tensors; fer_edge/kernels/cuda_ops.py passes their addresses.
#include <cuda_runtime_api.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <stdexcept>
#include <string>

#include "ops.h"

namespace py = pybind11;

namespace fer_edge {
namespace cuda {
namespace {

using Address = uintptr_t;
using Shape = std::array<int64_t, 4>;  // images, channels, height, width
using Size = std::array<int64_t, 2>;   // height, width

constexpr int64_t kMaxChannels = 2048, kMaxSide = 14, kMaxTokens = 64;
// Kernels index a map, and scratch that is three times as large, with 32 bits.
constexpr int64_t kMaxValues = int64_t{1} << 29;
constexpr int64_t kMaxPlaneSide = 1 << 20, kMaxPictureSide = 1 << 16;
constexpr Address kAlignment = 32;

[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& got,
                         const std::string& fix) {
    throw py::value_error(name + " must " + expected + ", got " + got + "; " + fix);
}

template <typename Values>
std::string listed(const Values& values) {
    std::string joined;
    for (const int64_t value : values) joined += (joined.empty() ? "" : ", ") + std::to_string(value);
    return "[" + joined + "]";
}

void check(const char* operation, cudaError_t error) {
    if (error == cudaSuccess) return;
    throw std::runtime_error(std::string(operation) + ": " + cudaGetErrorName(error) + ": " +
                             cudaGetErrorString(error));
}

// Called before the arguments are checked: without a driver no address is valid.
void check_device(const char* operation) {
    int device = 0;
    const cudaError_t error = cudaGetDevice(&device);
    if (error != cudaSuccess) cudaGetLastError();
    check(operation, error);
}

void check_range(const char* name, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return;
    refuse(name, "be from " + std::to_string(least) + " to " + std::to_string(most), std::to_string(value),
           "see fer_edge.kernels for the limits");
}

template <typename T = void>
T* pointer(const char* name, Address address, Address alignment = kAlignment) {
    if (address == 0) refuse(name, "be an address on the device", "0", "pass data_ptr() of a tensor there");
    if (address % alignment != 0)
        refuse(name, "begin at a multiple of " + std::to_string(alignment) + " bytes",
               std::to_string(address), "clone() the tensor");
    return reinterpret_cast<T*>(address);
}

DType dtype_from_name(const std::string& name, bool picture) {
    if (name == "float32") return DType::kF32;
    if (name == "float16") return DType::kF16;
    if (name == "bfloat16" && !picture) return DType::kBF16;
    if (name == "int8" && picture) return DType::kI8;
    refuse("dtype", picture ? "be float32, float16 or int8" : "be float32, float16 or bfloat16", name,
           "cast the tensor");
}

// A map of C channels, or of 2 C channels if `multiple` is 2.
Map checked_map(const char* name, Address data, const Shape& shape, const std::string& dtype,
                bool channels_last, int64_t multiple) {
    const auto [images, channels, height, width] = shape;
    const int64_t most = multiple * kMaxChannels, step = multiple * 8;
    if (channels % step != 0 || channels < step || channels > most)
        refuse(name, "have a multiple of " + std::to_string(step) + " channels up to " + std::to_string(most),
               listed(shape), "pad them with zeros");
    if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide)
        refuse(name, "have 1 to " + std::to_string(kMaxSide) + " positions per side", listed(shape),
               "pool it first");
    if (images < 0 || images > kMaxValues / (channels * height * width))
        refuse(name, "have 0 to " + std::to_string(kMaxValues) + " values", listed(shape), "split the batch");
    const void* const checked = images == 0 ? nullptr : pointer(name, data);
    return {checked,
            static_cast<int32_t>(images),
            static_cast<int32_t>(channels),
            static_cast<int32_t>(height),
            static_cast<int32_t>(width),
            channels_last,
            dtype_from_name(dtype, false)};
}

// The pointers of a struct of weights, in the order of its members.
template <size_t kCount>
std::array<const void*, kCount> checked_weights(const std::array<Address, kCount>& addresses) {
    std::array<const void*, kCount> checked;
    for (size_t i = 0; i < kCount; ++i)
        checked[i] = pointer(("weights[" + std::to_string(i) + "]").c_str(), addresses[i]);
    return checked;
}

cudaStream_t stream_from(Address stream) { return reinterpret_cast<cudaStream_t>(stream); }

void multi_branch_attention_checked(Address z, const Shape& shape, const std::string& dtype,
                                    bool channels_last, const std::array<Address, 10>& weights, Address scale,
                                    Address local, Address out, Address stream) {
    constexpr const char* kName = "multi_branch_attention";
    check_device(kName);
    const Map map = checked_map("z", z, shape, dtype, channels_last, 2);
    if (map.images == 0) return;
    const auto w = checked_weights(weights);
    const MultiBranchWeights given{w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]};
    check(kName, multi_branch_attention(map, given, pointer<float>("scale", scale), pointer("local", local),
                                        pointer("out", out), stream_from(stream)));
}

void dcif_checked(Address x, const Shape& shape, const std::string& dtype, bool channels_last,
                  const std::array<Address, 5>& weights, int64_t hidden, Address out, Address stream) {
    check_device("dcif");
    const Map map = checked_map("x", x, shape, dtype, channels_last, 1);
    check_range("hidden", hidden, 1, kMaxChannels);
    if (map.images == 0) return;
    const auto w = checked_weights(weights);
    const DcifWeights given{w[0], w[1], w[2], w[3], w[4], static_cast<int32_t>(hidden)};
    check("dcif", dcif(map, given, pointer("out", out), stream_from(stream)));
}

void token_attention_checked(Address x, const Shape& shape, const std::string& dtype, bool channels_last,
                             const std::array<Address, 6>& weights, int64_t heads, float epsilon, Address qkv,
                             Address mixed, Address out, Address stream) {
    check_device("token_attention");
    const Map map = checked_map("x", x, shape, dtype, channels_last, 1);
    check_range("height * width", int64_t{map.height} * map.width, 1, kMaxTokens);
    if (heads < 1 || map.channels % heads != 0)
        refuse("heads", "divide the " + std::to_string(map.channels) + " channels", std::to_string(heads),
               "choose a divisor");
    if (map.images == 0) return;
    const auto w = checked_weights(weights);
    const TokenAttentionWeights given{w[0], w[1], w[2], w[3], w[4], w[5]};
    check("token_attention",
          token_attention(map, given, static_cast<int32_t>(heads), epsilon, pointer("qkv", qkv),
                          pointer("mixed", mixed), pointer("out", out), stream_from(stream)));
}

void warp_normalize_checked(Address plane, const Size& size, int64_t row_stride, Address matrices,
                            int64_t count, Address out, const std::string& dtype, const Size& out_size,
                            float mean, float scale, const std::string& border, float fill, Address stream) {
    check_device("warp_normalize");
    for (const int64_t side : size) check_range("plane's sides", side, 1, kMaxPlaneSide);
    for (const int64_t side : out_size) check_range("out's sides", side, 0, kMaxPictureSide);
    check_range("row_stride", row_stride, 0, int64_t{1} << 32);
    check_range("count", count, 0, INT32_MAX);
    if (border != "edge" && border != "constant")
        refuse("border", "be edge or constant", border, "choose one of them");
    const DType type = dtype_from_name(dtype, true);
    if (count == 0 || out_size[0] == 0 || out_size[1] == 0) return;
    const Address bytes = type == DType::kF32 ? 4 : type == DType::kF16 ? 2 : 1;
    const Plane source{pointer<const uint8_t>("plane", plane, 1), row_stride, static_cast<int32_t>(size[0]),
                       static_cast<int32_t>(size[1])};
    const Pictures pictures{pointer("out", out, bytes),
                            static_cast<int32_t>(count),
                            static_cast<int32_t>(out_size[0]),
                            static_cast<int32_t>(out_size[1]),
                            type,
                            mean,
                            scale,
                            fill,
                            border == "edge"};
    check("warp_normalize", warp_normalize(source, pointer<const float>("matrices", matrices, sizeof(float)),
                                           pictures, stream_from(stream)));
}

}  // namespace

PYBIND11_MODULE(_cuda, module) {
    module.doc() = "The CUDA kernels on device addresses; fer_edge.kernels calls them with tensors.";
    const py::call_guard<py::gil_scoped_release> unlocked;
    module.def("multi_branch_attention", &multi_branch_attention_checked, py::arg("z"), py::arg("shape"),
               py::arg("dtype"), py::arg("channels_last"), py::arg("weights"), py::arg("scale"),
               py::arg("local"), py::arg("out"), py::arg("stream"), unlocked);
    module.def("dcif", &dcif_checked, py::arg("x"), py::arg("shape"), py::arg("dtype"),
               py::arg("channels_last"), py::arg("weights"), py::arg("hidden"), py::arg("out"),
               py::arg("stream"), unlocked);
    module.def("token_attention", &token_attention_checked, py::arg("x"), py::arg("shape"), py::arg("dtype"),
               py::arg("channels_last"), py::arg("weights"), py::arg("heads"), py::arg("epsilon"),
               py::arg("qkv"), py::arg("mixed"), py::arg("out"), py::arg("stream"), unlocked);
    module.def("warp_normalize", &warp_normalize_checked, py::arg("plane"), py::arg("size"),
               py::arg("row_stride"), py::arg("matrices"), py::arg("count"), py::arg("out"), py::arg("dtype"),
               py::arg("out_size"), py::arg("mean"), py::arg("scale"), py::arg("border"), py::arg("fill"),
               py::arg("stream"), unlocked);
}

}  // namespace cuda
}  // namespace fer_edge
