// The passes of channel_affine.h as TensorFlow operations, for float32 tensors (N, X, Y, Z, C) on a CPU. Scales, shifts and
// sums are (N, C).
#include <algorithm>
#include <vector>

#include "channel_affine.h"
#include "op.h"

namespace distmis {
namespace {

// The outputs are as the first input, or (N, C) of it.
absl::Status LikeInput(InferenceContext* c) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &x));
  c->set_output(0, x);
  return absl::OkStatus();
}
absl::Status PerChannel(InferenceContext* c) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &x));
  for (int i = 0; i < c->num_outputs(); i++) c->set_output(i, c->MakeShape({c->Dim(x, 0), c->Dim(x, 4)}));
  return absl::OkStatus();
}

REGISTER_OP("DistmisMoments")
    .Input("x: float")
    .Output("mean: float")
    .Output("variance: float")
    .SetShapeFn(PerChannel)
    .Doc("Mean and biased variance over the voxels of each sample and channel.");

REGISTER_OP("DistmisScaleShift")
    .Input("x: float")
    .Input("scale: float")
    .Input("shift: float")
    .Output("y: float")
    .Attr("slope: float = 0")
    .SetShapeFn(LikeInput)
    .Doc("With z = scale * x + shift: z where z > 0, else slope * z.");

REGISTER_OP("DistmisScaleShiftSums")
    .Input("x: float")
    .Input("outer: float")
    .Input("scale: float")
    .Input("shift: float")
    .Input("mean: float")
    .Output("sum: float")
    .Output("product_sum: float")
    .Attr("slope: float = 0")
    .SetShapeFn(PerChannel)
    .Doc("With g, the gradient `outer` behind the activation of DistmisScaleShift: the sums of g and of g * (x - mean).");

REGISTER_OP("DistmisScaleShiftGradient")
    .Input("x: float")
    .Input("outer: float")
    .Input("scale: float")
    .Input("shift: float")
    .Input("p: float")
    .Input("q: float")
    .Output("inner: float")
    .Attr("slope: float = 0")
    .SetShapeFn(LikeInput)
    .Doc("scale * g + p * x + q, g as for DistmisScaleShiftSums.");

class ChannelOp : public OpKernel {
 public:
  explicit ChannelOp(OpKernelConstruction* context) : OpKernel(context) {
    if (context->HasAttr("slope")) OP_REQUIRES_OK(context, context->GetAttr("slope", &slope_));
  }

 protected:
  struct Sizes {
    int64_t samples, voxels, channels;
  };

  // False, with the context's status set, where shapes don't fit: inputs before `per_channel` are as the first one, the
  // others, up to `inputs`, are (N, C).
  static bool Check(OpKernelContext* context, int per_channel, int inputs, Sizes* sizes) {
    const Tensor& x = context->input(0);
    if (x.dims() != 5) {
      context->CtxFailure(absl::InvalidArgumentError("rank 5 expected"));
      return false;
    }
    *sizes = {x.dim_size(0), x.dim_size(1) * x.dim_size(2) * x.dim_size(3), x.dim_size(4)};
    for (int i = 1; i < inputs; i++) {
      const TensorShape expected = i < per_channel ? x.shape() : TensorShape({sizes->samples, sizes->channels});
      if (context->input(i).shape() == expected) continue;
      context->CtxFailure(absl::InvalidArgumentError(
          "input " + std::to_string(i) + " has shape " + context->input(i).shape().DebugString() + ", expected " +
          expected.DebugString()));
      return false;
    }
    return true;
  }

  static const float* In(OpKernelContext* context, int index) { return context->input(index).flat<float>().data(); }

  // Calls pass(first value, voxels, first value of (N, C)) for stretches of voxels that lie in one sample.
  template <typename Pass>
  static void Stretches(const Sizes& sizes, int64_t first, int64_t last, const Pass& pass) {
    while (first < last) {
      const int64_t sample = first / sizes.voxels;
      const int64_t end = std::min(last, (sample + 1) * sizes.voxels);
      pass(first * sizes.channels, end - first, sample * sizes.channels);
      first = end;
    }
  }

  // The two sums for each sample and channel, by `pass(first value, voxels, first value of (N, C), sums)`.
  template <typename Pass>
  static std::vector<double> Sums(OpKernelContext* context, const Sizes& sizes, const Pass& pass) {
    const int64_t count = sizes.samples * sizes.channels;
    const int64_t voxels = sizes.samples * sizes.voxels;
    const int64_t shards = ShardCount(context, voxels);
    std::vector<double> sums(shards * 2 * count);
    ForEachShard(context, shards, voxels, [&](int64_t shard, int64_t first, int64_t last) {
      double* own = sums.data() + shard * 2 * count;
      Stretches(sizes, first, last, [&](int64_t at, int64_t length, int64_t channel) {
        pass(at, length, channel, ChannelSums{own + channel, own + count + channel});
      });
    });
    for (int64_t shard = 1; shard < shards; shard++) {
      for (int64_t i = 0; i < 2 * count; i++) sums[i] += sums[shard * 2 * count + i];
    }
    sums.resize(2 * count);
    return sums;
  }

  template <typename Pass>
  static void EachVoxel(OpKernelContext* context, const Sizes& sizes, const Pass& pass) {
    const int64_t voxels = sizes.samples * sizes.voxels;
    ForEachShard(context, ShardCount(context, voxels), voxels,
                 [&](int64_t, int64_t first, int64_t last) { Stretches(sizes, first, last, pass); });
  }

  float slope_ = 0;
};

class MomentsOp : public ChannelOp {
 public:
  using ChannelOp::ChannelOp;
  void Compute(OpKernelContext* context) override {
    Sizes sizes;
    if (!Check(context, 1, 1, &sizes)) return;
    Tensor *mean = nullptr, *variance = nullptr;
    const TensorShape shape({sizes.samples, sizes.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &mean));
    OP_REQUIRES_OK(context, context->allocate_output(1, shape, &variance));
    const float* x = In(context, 0);
    // Each sample's first voxel as the pivot: near enough to the mean.
    const auto pivot = [&](int64_t channel) {
      return x + channel / sizes.channels * sizes.voxels * sizes.channels;
    };
    const auto sums = Sums(context, sizes, [&](int64_t at, int64_t voxels, int64_t channel, ChannelSums own) {
      AddMoments(x + at, voxels, sizes.channels, pivot(channel), own);
    });
    const int64_t count = sizes.samples * sizes.channels;
    for (int64_t i = 0; i < count; i++) {
      const double distance = sums[i] / sizes.voxels;
      mean->flat<float>()(i) = pivot(i)[i % sizes.channels] + distance;
      variance->flat<float>()(i) = std::max(0.0, sums[count + i] / sizes.voxels - distance * distance);
    }
  }
};

class ScaleShiftOp : public ChannelOp {
 public:
  using ChannelOp::ChannelOp;
  void Compute(OpKernelContext* context) override {
    Sizes sizes;
    if (!Check(context, 1, 3, &sizes)) return;
    Tensor* out = nullptr;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, context->input(0).shape(), &out));
    const float *x = In(context, 0), *scale = In(context, 1), *shift = In(context, 2);
    float* y = out->flat<float>().data();
    EachVoxel(context, sizes, [&](int64_t at, int64_t voxels, int64_t channel) {
      ScaleShift(x + at, voxels, sizes.channels, scale + channel, shift + channel, slope_, y + at);
    });
  }
};

class ScaleShiftSumsOp : public ChannelOp {
 public:
  using ChannelOp::ChannelOp;
  void Compute(OpKernelContext* context) override {
    Sizes sizes;
    if (!Check(context, 2, 5, &sizes)) return;
    Tensor* outputs[2];
    const TensorShape shape({sizes.samples, sizes.channels});
    for (int i = 0; i < 2; i++) OP_REQUIRES_OK(context, context->allocate_output(i, shape, &outputs[i]));
    const float *x = In(context, 0), *outer = In(context, 1), *scale = In(context, 2), *shift = In(context, 3),
                *mean = In(context, 4);
    const auto sums = Sums(context, sizes, [&](int64_t at, int64_t voxels, int64_t channel, ChannelSums own) {
      AddGradientSums(x + at, outer + at, voxels, sizes.channels, scale + channel, shift + channel, mean + channel,
                      slope_, own);
    });
    const int64_t count = sizes.samples * sizes.channels;
    for (int64_t i = 0; i < 2 * count; i++) outputs[i / count]->flat<float>()(i % count) = sums[i];
  }
};

class ScaleShiftGradientOp : public ChannelOp {
 public:
  using ChannelOp::ChannelOp;
  void Compute(OpKernelContext* context) override {
    Sizes sizes;
    if (!Check(context, 2, 6, &sizes)) return;
    Tensor* out = nullptr;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({1}, 0, context->input(0).shape(), &out));
    const float *x = In(context, 0), *outer = In(context, 1), *scale = In(context, 2), *shift = In(context, 3),
                *p = In(context, 4), *q = In(context, 5);
    float* inner = out->flat<float>().data();
    EachVoxel(context, sizes, [&](int64_t at, int64_t voxels, int64_t channel) {
      ScaleShiftGradient(x + at, outer + at, voxels, sizes.channels, scale + channel, shift + channel, p + channel,
                         q + channel, slope_, inner + at);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("DistmisMoments").Device(tensorflow::DEVICE_CPU), MomentsOp);
REGISTER_KERNEL_BUILDER(Name("DistmisScaleShift").Device(tensorflow::DEVICE_CPU), ScaleShiftOp);
REGISTER_KERNEL_BUILDER(Name("DistmisScaleShiftSums").Device(tensorflow::DEVICE_CPU), ScaleShiftSumsOp);
REGISTER_KERNEL_BUILDER(Name("DistmisScaleShiftGradient").Device(tensorflow::DEVICE_CPU), ScaleShiftGradientOp);

}  // namespace
}  // namespace distmis
