// Checks every target of this machine against the cases of dump_cases.py, then compares the targets with each
// other on random warps. Each array has its own allocation of exactly its size, so that the address sanitizer
// detects an access one byte outside.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "../decode_faces.h"
#include "../ops.h"

namespace fer_edge {
namespace {

enum Kind { kLuma, kWarp, kDecode };

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
}

class Reader {
  public:
    explicit Reader(const char* path) : file_(std::fopen(path, "rb")) {
        if (!file_) fail("cannot open the file of cases; write it with dump_cases.py");
    }
    ~Reader() { std::fclose(file_); }

    bool next_kind(int32_t& kind) { return std::fread(&kind, sizeof kind, 1, file_) == 1; }

    template <typename T>
    std::vector<T> many(size_t count) {
        std::vector<T> values(count);
        if (std::fread(values.data(), sizeof(T), count, file_) != count)
            fail("the file of cases is cut short");
        return values;
    }

    template <typename T>
    T one() {
        return many<T>(1)[0];
    }

  private:
    std::FILE* file_;
};

struct Plane {
    std::vector<uint8_t> bytes;
    Image image;
};

Plane read_plane(Reader& reader, int height, int width, int row_bytes) {
    const int stride = reader.one<int32_t>();
    const size_t size =
        height > 0 && row_bytes > 0 ? static_cast<size_t>(height - 1) * stride + row_bytes : 0;
    Plane plane{reader.many<uint8_t>(size), {}};
    plane.image = {plane.bytes.data(), stride, height, width};
    return plane;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

bool within_one_ulp(float a, float b) { return a == b || std::nextafterf(a, b) == b; }

bool check_luma(Reader& reader, const TargetList& targets) {
    const int height = reader.one<int32_t>(), width = reader.one<int32_t>();
    const Plane bgr = read_plane(reader, height, width, 3 * width);
    const auto expected = reader.many<uint8_t>(static_cast<size_t>(height) * width);
    bool good = true;
    for (int i = 0; i < targets.count; ++i) {
        std::vector<uint8_t> luma(expected.size(), 0xAA);
        targets.first[i]->luma_from_bgr(bgr.image, luma.data(), width);
        good &= same_bits(luma, expected);
    }
    return good;
}

std::vector<float> warped(const Target& target, const Image& plane, const std::vector<float>& matrices,
                          int height, int width, const Normalization& normalization) {
    const int count = static_cast<int>(matrices.size() / 6);
    std::vector<float> out(static_cast<size_t>(count) * height * width,
                           std::numeric_limits<float>::quiet_NaN());
    warp_normalize(target, plane, {matrices.data(), out.data(), count, height, width}, normalization);
    return out;
}

bool check_warp(Reader& reader, const TargetList& targets) {
    const auto fields = reader.many<int32_t>(6);
    const int count = fields[2], height = fields[3], width = fields[4];
    const auto normalization = reader.many<float>(3);
    const Plane plane = read_plane(reader, fields[0], fields[1], fields[1]);
    const auto matrices = reader.many<float>(6 * count);
    const auto expected = reader.many<float>(static_cast<size_t>(count) * height * width);
    bool good = true;
    for (int i = 0; i < targets.count; ++i)
        good &= same_bits(warped(*targets.first[i], plane.image, matrices, height, width,
                                 {normalization[0], normalization[1], normalization[2], fields[5] != 0}),
                          expected);
    return good;
}

bool same_face(const DecodedFace& face, const float* box, const float* landmarks, float score) {
    bool same = within_one_ulp(face.score, score);
    for (int k = 0; k < 4; ++k) same &= within_one_ulp(face.box[k], box[k]);
    for (int k = 0; k < 10; ++k) same &= within_one_ulp(face.landmarks[k], landmarks[k]);
    return same;
}

bool check_decode(Reader& reader, const TargetList& targets) {
    const size_t count = reader.one<int32_t>();
    const auto limits = reader.many<double>(2);
    std::vector<float> data[3];
    FaceMap maps[3];
    for (int level = 0; level < 3; ++level) {
        const int height = reader.one<int32_t>(), width = reader.one<int32_t>();
        data[level] = reader.many<float>(static_cast<size_t>(kMapChannels) * height * width);
        maps[level] = {data[level].data(), height, width};
    }
    const auto boxes = reader.many<float>(4 * count), landmarks = reader.many<float>(10 * count);
    const auto scores = reader.many<float>(count);
    bool good = true;
    for (int i = 0; i < targets.count; ++i) {
        const auto faces = decode_faces(*targets.first[i], maps, limits[0], limits[1]);
        good &= faces.size() == count;
        for (size_t k = 0; good && k < count; ++k)
            good &= same_face(faces[k], &boxes[4 * k], &landmarks[10 * k], scores[k]);
    }
    return good;
}

// Random warps; the scalar target gives the expected result.
bool check_random_warps(const TargetList& targets, int warps) {
    std::mt19937 random(4);
    const auto uniform = [&](float low, float high) {
        return std::uniform_real_distribution<float>(low, high)(random);
    };
    const auto whole = [&](int low, int high) {
        return std::uniform_int_distribution<int>(low, high)(random);
    };
    bool good = true;
    for (int n = 0; n < warps; ++n) {
        const int height = whole(1, 90), width = whole(1, 90), rows = whole(1, 40), columns = whole(1, 90);
        std::vector<uint8_t> bytes(static_cast<size_t>(height) * width);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
        const bool upside_down = whole(0, 1) == 1;
        const Image plane{upside_down ? bytes.data() + (height - 1) * width : bytes.data(),
                          upside_down ? -width : width, height, width};
        const float scale = std::exp(uniform(-3, 5)), angle = uniform(-4, 4);
        const float c = scale * std::cos(angle), s = scale * std::sin(angle);
        std::vector<float> matrix{c, -s, uniform(-1, 2) * width, s, c, uniform(-1, 2) * height};
        if (whole(0, 9) == 0) matrix[whole(0, 5)] = uniform(-1, 1) * 3e38f * static_cast<float>(whole(1, 4));
        const Normalization normalization{117.3f, 0.017f, 33.7f, whole(0, 1) == 1};
        const auto expected =
            warped(*targets.first[targets.count - 1], plane, matrix, rows, columns, normalization);
        for (int i = 0; i < targets.count; ++i)
            good &=
                same_bits(warped(*targets.first[i], plane, matrix, rows, columns, normalization), expected);
    }
    return good;
}

int run(const char* path) {
    const TargetList targets = runnable_targets();
    Reader reader(path);
    int counts[3] = {0, 0, 0}, failures = 0;
    for (int32_t kind; reader.next_kind(kind);) {
        const bool good = kind == kLuma   ? check_luma(reader, targets)
                          : kind == kWarp ? check_warp(reader, targets)
                                          : check_decode(reader, targets);
        ++counts[kind];
        failures += good ? 0 : 1;
    }
    constexpr int kRandomWarps = 4000;
    failures += check_random_warps(targets, kRandomWarps) ? 0 : 1;
    std::printf("targets:");
    for (int i = 0; i < targets.count; ++i) std::printf(" %s", targets.first[i]->name);
    std::printf("\nluma_from_bgr %d, warp_normalize %d, decode_faces %d cases, %d random warps: %d failed\n",
                counts[0], counts[1], counts[2], kRandomWarps, failures);
    if (counts[0] == 0 || counts[1] == 0 || counts[2] == 0)
        fail("the file has no case of one of the operations");
    return failures ? 1 : 0;
}

}  // namespace
}  // namespace fer_edge

int main(int argc, char** argv) {
    if (argc != 2) fer_edge::fail("usage: run_cases FILE");
    return fer_edge::run(argv[1]);
}
