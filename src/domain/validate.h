/*
 * The rules for a client's fields. All faults are told at once.
 */
#ifndef DOMAIN_VALIDATE_H
#define DOMAIN_VALIDATE_H

#include "domain/domain.h"
#include "store/client_store.h"

/* A registration: @ret_fields borrows from @body. ERR_VALIDATION_FAILED: faults in @problem. */
MUST_CHECK enum err client_validate(struct json_object *body, bool production,
				    struct client_fields *ret_fields, struct problem *problem);
/* A change: only what is to be changed is there. */
MUST_CHECK enum err client_validate_change(struct json_object *body, bool production,
					   struct client_fields *ret_fields,
					   struct problem *problem);

/* NULL, or what is wrong with it: "must …". */
const char *redirect_uri_fault(const char *value, bool production);

/* C0, DEL or C1. */
bool has_control_characters(const char *s);

/* For the body of POST /tokens/refresh. A branch id is looked up, so only its form counts. */
bool branch_id_is_plain(const char *branch_id);

#endif
