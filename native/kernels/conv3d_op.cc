// DistmisConv3D: Convolve as a TensorFlow operation, for float32 on a CPU.
#include <algorithm>
#include <cstring>
#include <vector>

#include "conv3d.h"
#include "op.h"

namespace distmis {
namespace {

REGISTER_OP("DistmisConv3D")
    .Input("inputs: m * float")
    .Input("kernel: float")
    .Input("coefficients: n * float")
    .Output("output: float")
    .Attr("m: int >= 1")
    .Attr("n: int >= 0 = 0")
    .Attr("activated: list(bool) = []")
    .Attr("slopes: list(float) = []")
    .SetShapeFn([](InferenceContext* c) {
      int count;
      TF_RETURN_IF_ERROR(c->GetAttr("m", &count));
      ShapeHandle input, kernel;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &input));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(count), 5, &kernel));
      c->set_output(0, c->MakeShape({c->Dim(input, 0), c->Dim(input, 1), c->Dim(input, 2), c->Dim(input, 3),
                                     c->Dim(kernel, 4)}));
      return absl::OkStatus();
    })
    .Doc("Conv3D (NDHWC, SAME, stride 1, odd kernel sides) of the inputs, their channels one after the other. To an input "
         "that is `activated` DistmisScaleShift is applied first, by the next two coefficients, scale and shift (N, C), and "
         "the slope of its place.");

class ConvolveOp : public OpKernel {
 public:
  explicit ConvolveOp(OpKernelConstruction* context) : OpKernel(context) {
    int inputs, coefficients;
    OP_REQUIRES_OK(context, context->GetAttr("m", &inputs));
    OP_REQUIRES_OK(context, context->GetAttr("n", &coefficients));
    OP_REQUIRES_OK(context, context->GetAttr("activated", &activated_));
    OP_REQUIRES_OK(context, context->GetAttr("slopes", &slopes_));
    activated_.resize(inputs, false);
    slopes_.resize(inputs, 0);
    OP_REQUIRES(context, coefficients == 2 * std::count(activated_.begin(), activated_.end(), true),
                absl::InvalidArgumentError("scale and shift expected for each activated input"));
  }

  void Compute(OpKernelContext* context) override {
    OpInputList inputs, coefficients;
    OP_REQUIRES_OK(context, context->input_list("inputs", &inputs));
    OP_REQUIRES_OK(context, context->input_list("coefficients", &coefficients));
    const Tensor& kernel = context->input(inputs.size());
    OP_REQUIRES(context, inputs[0].dims() == 5 && kernel.dims() == 5, absl::InvalidArgumentError("rank 5 expected"));
    Conv3D conv;
    conv.batch = inputs[0].dim_size(0);
    conv.stride = 1;
    conv.in_channels = 0;
    conv.out_channels = kernel.dim_size(4);
    bool odd = true;
    for (int axis = 0; axis < 3; axis++) {
      conv.in[axis] = conv.out[axis] = inputs[0].dim_size(axis + 1);
      conv.kernel[axis] = kernel.dim_size(axis);
      conv.padding[axis] = conv.kernel[axis] / 2;
      odd = odd && conv.kernel[axis] % 2 == 1;
    }
    std::vector<ConvInput> parts;
    int next = 0;
    for (int i = 0; i < inputs.size(); i++) {
      const Tensor& input = inputs[i];
      bool same = input.dims() == 5;
      for (int axis = 0; same && axis < 4; axis++) same = input.dim_size(axis) == inputs[0].dim_size(axis);
      OP_REQUIRES(context, same, absl::InvalidArgumentError("inputs of one size expected"));
      ConvInput part = {input.flat<float>().data(), input.dim_size(4), activated_[i], {}};
      if (part.activated) {
        const Tensor &scale = coefficients[next++], &shift = coefficients[next++];
        const int64_t values = conv.batch * part.channels;
        OP_REQUIRES(context, scale.NumElements() == values && shift.NumElements() == values,
                    absl::InvalidArgumentError("scale and shift need a value for each sample and channel"));
        part.activation = {scale.flat<float>().data(), shift.flat<float>().data(), slopes_[i]};
      }
      parts.push_back(part);
      conv.in_channels += part.channels;
    }
    // A kernel's reach is what a row's padding has room for.
    OP_REQUIRES(context, odd && conv.kernel[2] <= 8 && kernel.dim_size(3) == conv.in_channels,
                absl::InvalidArgumentError("kernel " + kernel.shape().DebugString() + " for " +
                                           std::to_string(conv.in_channels) + " channels: odd sides up to 7 expected"));
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(
                                0, TensorShape({conv.batch, conv.out[0], conv.out[1], conv.out[2], conv.out_channels}),
                                &output));
    const int64_t planes = conv.batch * conv.out[0];
    const int64_t shards = ShardCount(context, planes);
    const int64_t size = ConvolveBufferSize(conv);
    Tensor buffers;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({shards, size}), &buffers));
    float* all = buffers.flat<float>().data();
    ForEachShard(context, shards, planes, [&](int64_t shard, int64_t first, int64_t last) {
      std::memset(all + shard * size, 0, size * sizeof(float));
      Convolve(conv, parts, kernel.flat<float>().data(), first, last, all + shard * size, output->flat<float>().data());
    });
  }

 private:
  std::vector<bool> activated_;
  std::vector<float> slopes_;
};

REGISTER_KERNEL_BUILDER(Name("DistmisConv3D").Device(tensorflow::DEVICE_CPU), ConvolveOp);

}  // namespace
}  // namespace distmis
