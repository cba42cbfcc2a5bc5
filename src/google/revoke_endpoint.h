/*
 * The revocation endpoint (RFC 7009), as Google has it: the token alone, no client credentials.
 */
#ifndef GOOGLE_REVOKE_ENDPOINT_H
#define GOOGLE_REVOKE_ENDPOINT_H

#include "google/google.h"

/* ERR_OK: the provider no longer honours @token, or never did. ERR_PROVIDER_UNAVAILABLE,
 * ERR_PROVIDER_ERROR: not known; try again later. */
MUST_CHECK enum err revoke_endpoint_revoke(struct google *google, const char *token);

#endif
