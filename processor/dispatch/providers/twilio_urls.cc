#include "processor/dispatch/providers/twilio_urls.h"

#include "processor/base/id.h"
#include "processor/dispatch/providers/form.h"

namespace alertstream::dispatch {

Result<std::string> NotificationOfTwilioUrl(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const std::size_t question = url.find('?');
  if (question == std::string_view::npos) {
    return std::string();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Form query, DecodeForm(url.substr(question + 1)));
  std::string notification;
  for (const FormField& field : query) {
    if (field.name != kTwilioNotificationParameter) {
      continue;
    }
    if (!notification.empty()) {
      return Error(ErrorCode::kInvalid, "notification_id in the URL: given twice");
    }
    if (!ParseId(IdKind::kNotification, field.value).ok()) {
      return Error(ErrorCode::kInvalid, "notification_id in the URL: no id of a notification");
    }
    notification = field.value;
  }
  return notification;
}

}  // namespace alertstream::dispatch
