/*
 * The small pages that a person sees at the end of a login: the result, the next step, no token.
 */
#ifndef API_PAGE_H
#define API_PAGE_H

#include "api/call.h"

void page_reply_connected(struct call *call, const char *branch_id);
/* @login_url: where to begin again; NULL: nowhere that this page may name */
void page_reply_error(struct call *call, const struct err_info *info, const char *login_url);

#endif
