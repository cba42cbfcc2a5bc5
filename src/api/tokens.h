/* /tokens/{branch_id} and /tokens/refresh */
#ifndef API_TOKENS_H
#define API_TOKENS_H

#include "api/call.h"

MUST_CHECK enum err token_ask(struct call *call);
MUST_CHECK enum err token_answer(struct call *call);
MUST_CHECK enum err token_run(struct call *call);
MUST_CHECK enum err token_refresh_run(struct call *call);
MUST_CHECK enum err token_revoke_run(struct call *call);

#endif
