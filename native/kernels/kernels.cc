// The CPU kernels for each instruction set, and the choice between them.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "channel_affine.h"
#include "conv3d.h"
#include "conv3d_filter_gradient.h"
#include "max_pool.h"

#define DISTMIS_INLINE inline __attribute__((always_inline))

namespace distmis {

namespace portable {
#include "lanes.inc"
// Vectors of the convolution, and as many output channels as its sums have registers for.
using Wide = Lanes;
constexpr int kWide = 8, kMostOut = 4;
#include "conv3d.inc"
#include "channel_affine.inc"
#include "conv3d_filter_gradient.inc"
#include "max_pool.inc"
}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "lanes.inc"
#include "channel_affine.inc"
#include "conv3d_filter_gradient.inc"
#include "max_pool.inc"
}  // namespace avx2
#pragma GCC pop_options

// Only the convolution and its filter gradient, bound by arithmetic, gain; the other passes are bound by memory.
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512vl,avx512dq")
#define DISTMIS_PAIRS
#define DISTMIS_TRANSPOSE
namespace avx512 {
#include "lanes.inc"
constexpr int kWide = 16, kMostOut = 8;
typedef float Wide __attribute__((vector_size(kWide * sizeof(float))));

DISTMIS_INLINE void Transpose8x8(const float* from, int64_t from_step, float* to, int64_t to_step) {
  __m256 a[8], b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(from + i * from_step);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(to + i * to_step, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_step, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}

#include "conv3d.inc"
#include "conv3d_filter_gradient.inc"
}  // namespace avx512
#undef DISTMIS_PAIRS
#undef DISTMIS_TRANSPOSE
#pragma GCC pop_options

static bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
// Kept from it by the variable that keeps oneDNN from it (ONEDNN_MAX_CPU_ISA=AVX2), so that both sides of a benchmark can be
// what they are on an older processor.
static bool Avx512IsAllowed() {
  const char* most = std::getenv("ONEDNN_MAX_CPU_ISA");
  return most == nullptr || std::strncmp(most, "AVX512", 6) == 0 || std::strncmp(most, "AVX10", 5) == 0 ||
         std::strcmp(most, "DEFAULT") == 0;
}
static bool HasAvx512() {
  static const bool allowed = Avx512IsAllowed();
  return allowed && HasAvx2() && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#define DISTMIS_CALL(function, ...) (HasAvx2() ? avx2::function(__VA_ARGS__) : portable::function(__VA_ARGS__))

bool FilterGradientIsFaster(int64_t in_channels, int64_t out_channels, int64_t stride) {
  if (HasAvx512()) return stride == 1 && in_channels < 16 && out_channels < 16;
  return HasAvx2();
}

bool ConvolveIsFaster(int64_t out_channels) { return HasAvx512() && out_channels < 16; }

#define DISTMIS_CONVOLVE(function, ...) (HasAvx512() ? avx512::function(__VA_ARGS__) : portable::function(__VA_ARGS__))

void AddFilterGradient(const Conv3D& conv, const float* input, const float* outer, const Activation* activation,
                       int64_t first, int64_t last, float* gradient) {
  if (HasAvx512()) {
    avx512::AddFilterGradient(conv, input, outer, activation, first, last, gradient);
  } else {
    DISTMIS_CALL(AddFilterGradient, conv, input, outer, activation, first, last, gradient);
  }
}
#else
#define DISTMIS_CALL(function, ...) portable::function(__VA_ARGS__)

#define DISTMIS_CONVOLVE(function, ...) portable::function(__VA_ARGS__)

bool FilterGradientIsFaster(int64_t, int64_t, int64_t) { return false; }
bool ConvolveIsFaster(int64_t) { return false; }

void AddFilterGradient(const Conv3D& conv, const float* input, const float* outer, const Activation* activation,
                       int64_t first, int64_t last, float* gradient) {
  portable::AddFilterGradient(conv, input, outer, activation, first, last, gradient);
}
#endif

void AddMoments(const float* x, int64_t voxels, int64_t channels, const float* pivot, ChannelSums sums) {
  DISTMIS_CALL(AddMoments, x, voxels, channels, pivot, sums);
}

void ScaleShift(const float* x, int64_t voxels, int64_t channels, const float* scale, const float* shift, float slope,
                float* y) {
  DISTMIS_CALL(ScaleShift, x, voxels, channels, scale, shift, slope, y);
}

void AddGradientSums(const float* x, const float* outer, int64_t voxels, int64_t channels, const float* scale,
                     const float* shift, const float* mean, float slope, ChannelSums sums) {
  DISTMIS_CALL(AddGradientSums, x, outer, voxels, channels, scale, shift, mean, slope, sums);
}

void ScaleShiftGradient(const float* x, const float* outer, int64_t voxels, int64_t channels, const float* scale,
                        const float* shift, const float* p, const float* q, float slope, float* inner) {
  DISTMIS_CALL(ScaleShiftGradient, x, outer, voxels, channels, scale, shift, p, q, slope, inner);
}

int64_t ConvolveBufferSize(const Conv3D& conv) { return DISTMIS_CONVOLVE(BufferSize, conv); }

void Convolve(const Conv3D& conv, const std::vector<ConvInput>& inputs, const float* kernel, int64_t first, int64_t last,
              float* buffer, float* output) {
  DISTMIS_CONVOLVE(Convolve, conv, inputs, kernel, first, last, buffer, output);
}

void MaxPool(const Pooling& pooling, const float* x, const Activation* activation, int64_t first, int64_t last, float* y) {
  DISTMIS_CALL(MaxPool, pooling, x, activation, first, last, y);
}

void MaxPoolGradient(const Pooling& pooling, const float* x, const Activation* activation, const float* outer, int64_t first,
                     int64_t last, float* gradient) {
  DISTMIS_CALL(MaxPoolGradient, pooling, x, activation, outer, first, last, gradient);
}

}  // namespace distmis
