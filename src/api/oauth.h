/* /oauth/login/{client_id} and /auth/callback */
#ifndef API_OAUTH_H
#define API_OAUTH_H

#include "api/call.h"

MUST_CHECK enum err login_ask(struct call *call);
MUST_CHECK enum err login_answer(struct call *call);
MUST_CHECK enum err callback_run(struct call *call);

#endif
