// The Python bindings: check the arguments, release the interpreter's lock and call the selected target. The
// checks and their messages are those of fer_edge/ops/checks.py.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "decode_faces.h"
#include "ops.h"

namespace py = pybind11;

namespace fer_edge {
namespace {

constexpr py::ssize_t kMaxSide = 1 << 20;

std::string text(const py::handle& value) { return py::str(value).cast<std::string>(); }

std::string join(const py::ssize_t* values, py::ssize_t count) {
    std::string joined;
    for (py::ssize_t i = 0; i < count; ++i) joined += (i ? ", " : "") + std::to_string(values[i]);
    return joined;
}

std::string describe(const py::array& array) {
    return text(array.dtype()) + " [" + join(array.shape(), array.ndim()) + "]";
}

[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& got,
                         const std::string& fix) {
    throw py::value_error(name + " must " + expected + ", got " + got + "; " + fix);
}

[[noreturn]] void refuse_type(const std::string& name, const std::string& expected, const std::string& got,
                              const std::string& fix) {
    throw py::type_error(name + " must be " + expected + ", got " + got + "; " + fix);
}

std::string strides_of(const py::array& array) { return "strides " + text(array.attr("strides")); }

// The argument as an array of T, without conversion.
template <typename T>
py::array array_from_argument(const char* name, const py::handle& argument, const char* expected) {
    if (py::isinstance<py::array_t<T, 0>>(argument)) return py::reinterpret_borrow<py::array>(argument);
    if (py::isinstance<py::array>(argument))
        refuse_type(name, expected, describe(py::reinterpret_borrow<py::array>(argument)),
                    "convert it with astype");
    refuse_type(name, expected, text(py::type::handle_of(argument).attr("__name__")), "pass a NumPy array");
}

void check_contiguous(const char* name, const py::array& array) {
    if (!(array.flags() & py::array::c_style))
        refuse(name, "be C-contiguous", strides_of(array), "use numpy.ascontiguousarray");
}

void check_rows(const char* name, const py::array& array) {
    if (array.size() > 0 && array.shape(1) > 1 && array.strides(1) != 1)
        refuse(name, "have contiguous rows", strides_of(array), "use numpy.ascontiguousarray");
}

void check_writeable(const py::array& out) {
    if (!out.writeable()) refuse("out", "be writeable", "a read-only array", "copy it first");
}

Image image_from_array(const py::array& array) {
    return {static_cast<const uint8_t*>(array.data()), array.strides(0), static_cast<int>(array.shape(0)),
            static_cast<int>(array.shape(1))};
}

py::array checked_luma(const py::object& argument, py::ssize_t height, py::ssize_t width) {
    if (argument.is_none()) return py::array_t<uint8_t>({height, width});
    const py::array out = array_from_argument<uint8_t>("out", argument, "uint8 [H, W]");
    if (out.ndim() != 2 || out.shape(0) != height || out.shape(1) != width)
        refuse("out", "be uint8 [" + std::to_string(height) + ", " + std::to_string(width) + "]",
               describe(out), "allocate it for the frame");
    check_rows("out", out);
    check_writeable(out);
    return out;
}

py::array luma_from_bgr(const Target& target, const py::object& bgr_argument,
                        const py::object& out_argument) {
    py::array bgr = array_from_argument<uint8_t>("bgr", bgr_argument, "uint8 [H, W, 3]");
    if (bgr.ndim() != 3 || bgr.shape(2) != 3)
        refuse("bgr", "be uint8 [H, W, 3]", describe(bgr), "a grey frame is luma already");
    py::array out = checked_luma(out_argument, bgr.shape(0), bgr.shape(1));
    if (bgr.strides(2) != 1 || bgr.strides(1) != 3)
        bgr = py::array_t<uint8_t, py::array::c_style>::ensure(bgr);
    const Image image = image_from_array(bgr);
    uint8_t* luma = static_cast<uint8_t*>(out.mutable_data());
    const py::ssize_t stride = out.strides(0);
    {
        py::gil_scoped_release unlocked;
        target.luma_from_bgr(image, luma, stride);
    }
    return out;
}

py::array checked_plane(const py::object& argument) {
    const py::array plane = array_from_argument<uint8_t>("plane", argument, "uint8 [H, W]");
    if (plane.ndim() != 2)
        refuse("plane", "be uint8 [H, W]", describe(plane), "reduce colours with luma_from_bgr");
    if (plane.size() == 0) refuse("plane", "have at least one pixel", describe(plane), "skip empty frames");
    if (std::max(plane.shape(0), plane.shape(1)) > kMaxSide)
        refuse("plane", "be at most " + std::to_string(kMaxSide) + " pixels a side", describe(plane),
               "cut it");
    check_rows("plane", plane);
    // Kernels address pixels with 32-bit offsets.
    if ((plane.shape(0) + 1) * std::abs(plane.strides(0)) > std::numeric_limits<int32_t>::max())
        refuse("plane", "span less than 2 GiB", strides_of(plane), "cut it");
    return plane;
}

bool edge_from_border(const std::string& border) {
    if (border != "edge" && border != "constant")
        refuse("border", "be edge or constant", border, "choose one of them");
    return border == "edge";
}

void warp_normalize_checked(const Target& target, const py::object& plane_argument,
                            const py::object& matrices_argument, const py::object& out_argument, float mean,
                            float scale, const std::string& border, float fill) {
    const py::array plane = checked_plane(plane_argument);
    const py::array matrices = array_from_argument<float>("matrices", matrices_argument, "float32 [N, 2, 3]");
    if (matrices.ndim() != 3 || matrices.shape(1) != 2 || matrices.shape(2) != 3)
        refuse("matrices", "be float32 [N, 2, 3]", describe(matrices), "one [2, 3] for each picture");
    check_contiguous("matrices", matrices);
    const py::ssize_t count = matrices.shape(0);
    py::array out = array_from_argument<float>("out", out_argument, "float32 [N, 1, height, width]");
    if (out.ndim() != 4 || out.shape(0) != count || out.shape(1) != 1)
        refuse("out", "be float32 [" + std::to_string(count) + ", 1, height, width]", describe(out),
               "one for each matrix");
    check_contiguous("out", out);
    check_writeable(out);
    const Normalization normalization{mean, scale, fill, edge_from_border(border)};
    const Image image = image_from_array(plane);
    const Warps warps{static_cast<const float*>(matrices.data()), static_cast<float*>(out.mutable_data()),
                      static_cast<int>(count), static_cast<int>(out.shape(2)),
                      static_cast<int>(out.shape(3))};
    py::gil_scoped_release unlocked;
    warp_normalize(target, image, warps, normalization);
}

FaceMap checked_map(const py::handle& argument, int index) {
    constexpr const char* kNames[3] = {"maps[0]", "maps[1]", "maps[2]"};
    const char* const name = kNames[index];
    const py::array map = array_from_argument<float>(name, argument, "float32 [15, H / stride, W / stride]");
    if (map.ndim() != 3 || map.shape(0) != kMapChannels)
        refuse(name, "be float32 [15, H / stride, W / stride]", describe(map), "drop the batch axis");
    check_contiguous(name, map);
    return {static_cast<const float*>(map.data()), static_cast<int>(map.shape(1)),
            static_cast<int>(map.shape(2))};
}

void check_share(const char* name, double value) {
    if (value >= 0 && value <= 1) return;
    refuse(name, "be in [0, 1]", text(py::str("{:g}").format(value)), "it is a share, not a percentage");
}

py::tuple arrays_from_faces(const std::vector<DecodedFace>& faces) {
    const py::ssize_t count = static_cast<py::ssize_t>(faces.size());
    py::array_t<float> boxes({count, py::ssize_t{4}}), landmarks({count, py::ssize_t{5}, py::ssize_t{2}}),
        scores(count);
    for (py::ssize_t i = 0; i < count; ++i) {
        std::copy_n(faces[i].box, 4, boxes.mutable_data() + 4 * i);
        std::copy_n(faces[i].landmarks, 10, landmarks.mutable_data() + 10 * i);
        scores.mutable_data()[i] = faces[i].score;
    }
    return py::make_tuple(boxes, landmarks, scores);
}

py::tuple decode_faces_checked(const Target& target, const py::sequence& maps, double threshold,
                               double overlap) {
    if (maps.size() != 3)
        refuse("maps", "be 3 arrays", std::to_string(maps.size()), "one for each of the strides 8, 16, 32");
    // These references keep the arrays alive: other threads may change the list while the kernels run.
    const py::object arrays[3] = {maps[0], maps[1], maps[2]};
    const FaceMap levels[3] = {checked_map(arrays[0], 0), checked_map(arrays[1], 1),
                               checked_map(arrays[2], 2)};
    check_share("threshold", threshold);
    check_share("overlap", overlap);
    std::vector<DecodedFace> faces;
    {
        py::gil_scoped_release unlocked;
        faces = decode_faces(target, levels, threshold, overlap);
    }
    return arrays_from_faces(faces);
}

const Target& table(const std::string& name) {
    if (const Target* target = target_from_name(name.c_str())) return *target;
    throw py::value_error("this machine has no target " + name + "; see targets()");
}

py::list targets() {
    const TargetList list = runnable_targets();
    py::list names;
    for (int i = 0; i < list.count; ++i) names.append(list.first[i]->name);
    return names;
}

}  // namespace

PYBIND11_MODULE(_core, module) {
    module.doc() = "The compiled operations, one table per instruction set; fer_edge.ops selects one.";
    // Called with positional arguments, because pybind11 needs 0.1 us per keyword argument.
    // fer_edge/ops/compiled.py adds the keywords.
    py::class_<Target>(module, "Table")
        .def_readonly("name", &Target::name)
        .def("luma_from_bgr", &luma_from_bgr, py::arg("bgr").noconvert(), py::arg("out").noconvert())
        .def("warp_normalize", &warp_normalize_checked, py::arg("plane").noconvert(),
             py::arg("matrices").noconvert(), py::arg("out").noconvert(), py::arg("mean"), py::arg("scale"),
             py::arg("border"), py::arg("fill"))
        .def("decode_faces", &decode_faces_checked, py::arg("maps"), py::arg("threshold"),
             py::arg("overlap"));
    module.def("targets", &targets);
    module.def("table", &table, py::arg("name"), py::return_value_policy::reference);
}

}  // namespace fer_edge
