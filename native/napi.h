// Between JavaScript's values and ours. A Failure thrown anywhere below an Entry becomes a JavaScript error.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"

namespace distmis {

struct StatusDeleter {
  void operator()(TF_Status* s) const { TF_DeleteStatus(s); }
};
using Status = std::unique_ptr<TF_Status, StatusDeleter>;
inline Status NewStatus() { return Status(TF_NewStatus()); }
inline bool Ok(const Status& s) { return TF_GetCode(s.get()) == TF_OK; }

// Thrown on anything that JavaScript handed over wrongly; becomes a JavaScript error at the border.
struct Failure {
  std::string message;
};
[[noreturn]] inline void Fail(const std::string& message) { throw Failure{message}; }
inline void Check(napi_status status, const char* what) {
  if (status != napi_ok) Fail(std::string("expected ") + what);
}
inline void CheckTf(const Status& status, const std::string& what) {
  if (!Ok(status)) Fail(what + ": " + TF_Message(status.get()));
}

inline std::string ToString(napi_env env, napi_value value) {
  size_t size = 0;
  Check(napi_get_value_string_utf8(env, value, nullptr, 0, &size), "a string");
  std::string out(size, '\0');
  napi_get_value_string_utf8(env, value, &out[0], size + 1, &size);
  return out;
}
inline int64_t ToInt(napi_env env, napi_value value) {
  int64_t out = 0;
  Check(napi_get_value_int64(env, value, &out), "a number");
  return out;
}
inline double ToDouble(napi_env env, napi_value value) {
  double out = 0;
  Check(napi_get_value_double(env, value, &out), "a number");
  return out;
}
inline bool ToBool(napi_env env, napi_value value) {
  bool out = false;
  Check(napi_get_value_bool(env, value, &out), "a boolean");
  return out;
}
inline bool IsArray(napi_env env, napi_value value) {
  bool out = false;
  napi_is_array(env, value, &out);
  return out;
}
inline bool IsNumber(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  return type == napi_number;
}
template <typename F>
auto ToVector(napi_env env, napi_value array, F convert) {
  uint32_t size = 0;
  Check(napi_get_array_length(env, array, &size), "an array");
  std::vector<decltype(convert(env, array))> out;
  out.reserve(size);
  for (uint32_t i = 0; i < size; i++) {
    napi_value element;
    napi_get_element(env, array, i, &element);
    out.push_back(convert(env, element));
  }
  return out;
}
inline napi_value Get(napi_env env, napi_value object, const char* name) {
  napi_value out;
  Check(napi_get_named_property(env, object, name, &out), name);
  return out;
}
inline napi_value Number(napi_env env, double value) {
  napi_value out;
  napi_create_double(env, value, &out);
  return out;
}
inline napi_value Undefined(napi_env env) {
  napi_value out;
  napi_get_undefined(env, &out);
  return out;
}

using Body = napi_value (*)(napi_env, const std::vector<napi_value>&);

// Runs a body with exactly `Arity` arguments and turns a Failure into a JavaScript error.
template <Body body, size_t Arity>
napi_value Entry(napi_env env, napi_callback_info info) {
  std::vector<napi_value> args(Arity + 1);
  size_t count = args.size();
  napi_get_cb_info(env, info, &count, args.data(), nullptr, nullptr);
  try {
    if (count != Arity) Fail("expected " + std::to_string(Arity) + " arguments, got " + std::to_string(count));
    return body(env, args);
  } catch (const Failure& failure) {
    napi_throw_error(env, nullptr, failure.message.c_str());
    return nullptr;
  }
}

template <Body body, size_t Arity>
napi_property_descriptor Method(const char* name) {
  return {name, nullptr, Entry<body, Arity>, nullptr, nullptr, nullptr, napi_default, nullptr};
}

}  // namespace distmis
