// Runs every target of this machine on hard cases and compares it with the scalar one, which the Python tests
// compare with the NumPy reference. Needs no Python, so it runs under sanitizers and under qemu.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <limits>
#include <random>
#include <vector>

#include "../decode_faces.h"
#include "../ops.h"

namespace {

using namespace fer_edge;

// Grey levels; targets differ by the rounding of float32 alone.
constexpr float kTolerance = 2e-3f;

std::mt19937 random_bits(1);
int failures = 0;
int comparisons = 0;

void expect(bool holds, const char* target, const char* what) {
    ++comparisons;
    if (holds) return;
    ++failures;
    printf("%s: %s differs from scalar\n", target, what);
}

std::vector<uint8_t> random_bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_bits());
    return bytes;
}

float uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(random_bits); }

void check_luma(const Target& target, const Target& scalar) {
    for (const int height : {0, 1, 7, 63})
        for (const int width : {0, 1, 7, 15, 16, 17, 63, 200}) {
            // Exactly as long as the picture: a read or write beyond it is the sanitizer's to report.
            const std::vector<uint8_t> bgr = random_bytes(size_t(height) * width * 3);
            std::vector<uint8_t> ours(size_t(height) * width, 1), theirs(ours.size(), 2);
            const Image image{bgr.data(), ptrdiff_t{3} * width, height, width};
            target.luma_from_bgr(image, ours.data(), width);
            scalar.luma_from_bgr(image, theirs.data(), width);
            expect(ours == theirs, target.name, "luma_from_bgr");
        }
}

bool close(const std::vector<float>& a, const std::vector<float>& b) {
    for (size_t i = 0; i < a.size(); ++i)
        if (!(fabsf(a[i] - b[i]) <= kTolerance)) return false;
    return true;
}

void check_warp(const Target& target, const Target& scalar, const float* matrix, int height, int width,
                int side) {
    const std::vector<uint8_t> plane = random_bytes(size_t(height) * width);
    const Image image{plane.data(), width, height, width};
    for (const bool edge : {true, false}) {
        const size_t pixels = size_t(side) * (side + 3);
        std::vector<float> ours(pixels, NAN), theirs(pixels, NAN);
        const Normalisation tone{0, 1, 30, edge};
        warp_normalize(target, image, {matrix, ours.data(), 1, side, side + 3}, tone);
        warp_normalize(scalar, image, {matrix, theirs.data(), 1, side, side + 3}, tone);
        expect(close(ours, theirs), target.name, "warp_normalize");
    }
}

void check_warps(const Target& target, const Target& scalar) {
    const float infinity = std::numeric_limits<float>::infinity();
    for (int round = 0; round < 400; ++round) {
        const int height = 1 + random_bits() % 150, width = 1 + random_bits() % 150;
        const float scale = expf(uniform(-3, 4)), turn = uniform(-3.2f, 3.2f);
        const float c = scale * cosf(turn), s = scale * sinf(turn);
        float matrix[6] = {c, -s, uniform(-60, 200), s, c, uniform(-60, 200)};
        const float wild[] = {NAN, infinity, -infinity, 3e38f, -3e38f, 1e9f};
        if (round % 5 == 0) matrix[random_bits() % 6] = wild[random_bits() % 6];
        check_warp(target, scalar, matrix, height, width, 1 + random_bits() % 40);
    }
}

std::vector<DecodedFace> decoded(const Target& target, const std::vector<float> (&values)[3], int side) {
    FaceMap maps[3];
    for (int k = 0; k < 3; ++k) maps[k] = {values[k].data(), side / kStrides[k], side / kStrides[k]};
    return decode_faces(target, maps, 0.5, 0.4);
}

void check_faces(const Target& target, const Target& scalar) {
    for (int round = 0; round < 60; ++round) {
        const int side = 32 * (1 + round % 7);
        std::vector<float> values[3];
        for (int k = 0; k < 3; ++k) {
            const size_t cells = size_t(side / kStrides[k]) * (side / kStrides[k]);
            values[k].resize(kMapChannels * cells);
            for (float& value : values[k]) value = uniform(-1.5f, 1.5f);
            for (size_t i = 0; i < cells; ++i)
                if (random_bits() % 4) values[k][i] = round % 9 ? -9.0f : NAN;
        }
        const std::vector<DecodedFace> ours = decoded(target, values, side),
                                       theirs = decoded(scalar, values, side);
        bool same = ours.size() == theirs.size();
        for (size_t i = 0; same && i < ours.size(); ++i)
            for (int j = 0; j < 4; ++j) same = same && fabsf(ours[i].box[j] - theirs[i].box[j]) < 1e-3f;
        expect(same, target.name, "decode_faces");
    }
}

}  // namespace

int main() {
    const Target* const scalar = target_from_name("scalar");
    const TargetList list = runnable_targets();
    for (int i = 0; i < list.count; ++i) {
        printf("checking %s\n", list.first[i]->name);
        check_luma(*list.first[i], *scalar);
        check_warps(*list.first[i], *scalar);
        check_faces(*list.first[i], *scalar);
    }
    printf("%d comparisons, %d failed\n", comparisons, failures);
    return failures != 0;
}
