// The gradient of a 3D convolution with respect to its kernel, on a CPU, in float32 and channels-last order.
//
// oneDNN has no direct kernel for it in this order below AVX-512: it copies every window (im2col) and multiplies matrices
// of a few columns, which takes more than half of a 3D U-Net's training step. Here each row of voxels is read where it
// lies and the sums stay in registers.
#pragma once

#include <cstdint>

#include "conv3d.h"

namespace distmis {

// Adds to `gradient`, (kernel X, Y, Z, in, padded out), what the output rows [first, last) contribute; a row is one
// (batch, X, Y). `input` is (batch, X, Y, Z, in), `outer`, the gradient with respect to the output, (batch, X, Y, Z, out);
// the activation, if any, is that of `outer`.
void AddFilterGradient(const Conv3D& conv, const float* input, const float* outer, const Activation* activation,
                       int64_t first, int64_t last, float* gradient);

// Whether AddFilterGradient is faster than oneDNN on this processor: on x86-64 with AVX2, and with AVX-512, for which oneDNN
// has a direct kernel, where there are too few channels to fill that kernel's vectors of 16.
bool FilterGradientIsFaster(int64_t in_channels, int64_t out_channels, int64_t stride);

}  // namespace distmis
