/* /clients and /clients/{client_id} */
#ifndef API_CLIENTS_H
#define API_CLIENTS_H

#include "api/call.h"

MUST_CHECK enum err client_post_ask(struct call *call);
MUST_CHECK enum err client_post_answer(struct call *call);
MUST_CHECK enum err clients_get_ask(struct call *call);
MUST_CHECK enum err clients_get_answer(struct call *call);
MUST_CHECK enum err client_one_ask(struct call *call);
MUST_CHECK enum err client_one_answer(struct call *call);
MUST_CHECK enum err client_patch_ask(struct call *call);
enum err client_patch_run(struct call *call);
MUST_CHECK enum err client_delete_run(struct call *call);

#endif
