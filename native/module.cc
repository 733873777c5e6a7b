// The entry of the native module: the binding of @tensorflow/tfjs-node-gpu, unchanged, and what distmis adds to it. The
// binding's own file is compiled with -Dnapi_register_module_v1=tfjs_register_module, so that this entry comes first.
#include <node_api.h>

#include <memory>
#include <string>
#include <vector>

#include "context.h"
#include "graph.h"
#include "kernels/conv3d.h"
#include "kernels/conv3d_filter_gradient.h"
#include "napi.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"

extern "C" napi_value tfjs_register_module(napi_env env, napi_value exports);

namespace distmis {
namespace {

// functionRemove(name)
napi_value FunctionRemove(napi_env env, const std::vector<napi_value>& args) {
  const std::string name = ToString(env, args[0]);
  Status status = NewStatus();
  TFE_ContextRemoveFunction(Context(), name.c_str(), status.get());
  CheckTf(status, name);
  return Undefined(env);
}

// devices() -> {name, type}[]
napi_value Devices(napi_env env, const std::vector<napi_value>&) {
  Status status = NewStatus();
  std::unique_ptr<TF_DeviceList, decltype(&TF_DeleteDeviceList)> list(TFE_ContextListDevices(Context(), status.get()),
                                                                      TF_DeleteDeviceList);
  CheckTf(status, "devices");
  napi_value out;
  napi_create_array(env, &out);
  for (int i = 0; i < TF_DeviceListCount(list.get()); i++) {
    napi_value device, name, type;
    napi_create_object(env, &device);
    napi_create_string_utf8(env, TF_DeviceListName(list.get(), i, status.get()), NAPI_AUTO_LENGTH, &name);
    napi_create_string_utf8(env, TF_DeviceListType(list.get(), i, status.get()), NAPI_AUTO_LENGTH, &type);
    napi_set_named_property(env, device, "name", name);
    napi_set_named_property(env, device, "type", type);
    napi_set_element(env, out, i, device);
  }
  return out;
}

// fasterFilterGradient(in channels, out channels, stride) -> whether DistmisConv3DFilterGradient pays on this processor
napi_value FasterFilterGradient(napi_env env, const std::vector<napi_value>& args) {
  napi_value out;
  const bool faster = FilterGradientIsFaster(ToInt(env, args[0]), ToInt(env, args[1]), ToInt(env, args[2]));
  napi_get_boolean(env, faster, &out);
  return out;
}

// fasterConvolution(out channels) -> whether DistmisConv3D pays on this processor
napi_value FasterConvolution(napi_env env, const std::vector<napi_value>& args) {
  napi_value out;
  napi_get_boolean(env, ConvolveIsFaster(ToInt(env, args[0])), &out);
  return out;
}

}  // namespace
}  // namespace distmis

extern "C" NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value made = tfjs_register_module(env, exports);
  if (made == nullptr) return nullptr;
  if (!distmis::JoinFailure().empty()) {
    napi_throw_error(env, "DISTMIS_JOIN_FAILED", distmis::JoinFailure().c_str());
    return nullptr;
  }
  std::vector<napi_property_descriptor> methods = distmis::GraphMethods();
  methods.push_back(distmis::Method<distmis::FunctionRemove, 1>("functionRemove"));
  methods.push_back(distmis::Method<distmis::Devices, 0>("devices"));
  methods.push_back(distmis::Method<distmis::FasterFilterGradient, 3>("fasterFilterGradient"));
  methods.push_back(distmis::Method<distmis::FasterConvolution, 1>("fasterConvolution"));
  napi_define_properties(env, made, methods.size(), methods.data());
  return made;
}
