/* GET /, /health, /health/live, /health/ready */
#ifndef API_HEALTH_H
#define API_HEALTH_H

#include "api/call.h"

MUST_CHECK enum err root_ask(struct call *call);
MUST_CHECK enum err health_get_ask(struct call *call);
MUST_CHECK enum err health_get_answer(struct call *call);
MUST_CHECK enum err health_live_ask(struct call *call);
MUST_CHECK enum err health_ready_ask(struct call *call);
MUST_CHECK enum err health_ready_answer(struct call *call);

#endif
