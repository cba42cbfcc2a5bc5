/* GET /metrics: the text format of Prometheus, version 0.0.4. Needs no database. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/call.h"

MUST_CHECK enum err metrics_get_ask(struct call *call);

#endif
