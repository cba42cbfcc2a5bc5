/*
 * The configuration, and whether it is one to serve with: what the libraries refuse is refused
 * here, and in production what is unsafe.
 */
#ifndef DOMAIN_SETTINGS_H
#define DOMAIN_SETTINGS_H

#include <stdio.h>

#include "base/cleanup.h"
#include "base/config.h"
#include "base/err.h"

/* As config_load(), whose faults and these come together. */
MUST_CHECK enum err settings_load(const char *env_file, FILE *faults, struct config *ret_config);

/* ERR_CONFIG, and text in @faults under @name: @url is none that libpq can read, or would send what
 * it must not in plain text. Never repeats @url, which may hold a password. */
MUST_CHECK enum err settings_check_database(const char *name, const char *url,
					    const struct config *config, FILE *faults);

#endif
