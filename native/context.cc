// Configures the eager context before the binding of tfjs-node-gpu sees it: linked with -Wl,--wrap=TFE_NewContext.
//
// DISTMIS_TF_CONFIG and DISTMIS_TF_SERVER are base64 of a serialised tensorflow.ConfigProto and tensorflow.ServerDef. The
// binding makes its context while it is loaded, so the environment is the one way in.
#include "context.h"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "tensorflow/c/c_api_experimental.h"
#include "tensorflow/c/eager/c_api_experimental.h"

extern "C" TFE_Context* __real_TFE_NewContext(const TFE_ContextOptions*, TF_Status*);

namespace {

TFE_Context* context = nullptr;
std::string join_failure;

std::string FromBase64(const char* text) {
  static const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (; *text && *text != '='; text++) {
    const size_t value = alphabet.find(*text);
    if (value == std::string::npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return out;
}

}  // namespace

TFE_Context* distmis::Context() { return context; }
const std::string& distmis::JoinFailure() { return join_failure; }

extern "C" TFE_Context* __wrap_TFE_NewContext(const TFE_ContextOptions* options, TF_Status* status) {
  auto* writable = const_cast<TFE_ContextOptions*>(options);
  if (const char* config = std::getenv("DISTMIS_TF_CONFIG")) {
    const std::string bytes = FromBase64(config);
    TFE_ContextOptionsSetConfig(writable, bytes.data(), bytes.size(), status);
    if (TF_GetCode(status) != TF_OK) return nullptr;
  }
  TFE_Context* made = __real_TFE_NewContext(options, status);
  if (made == nullptr || TF_GetCode(status) != TF_OK) return made;
  join_failure.clear();
  if (const char* server = std::getenv("DISTMIS_TF_SERVER")) {
    const std::string bytes = FromBase64(server);
    TFE_EnableCollectiveOps(made, bytes.data(), bytes.size(), status);
    // The package's binding would replace the message by one of its own: the module's entry throws it instead.
    if (TF_GetCode(status) != TF_OK) {
      join_failure = TF_Message(status);
      TF_SetStatus(status, TF_OK, "");
    }
  }
  context = made;
  return made;
}
