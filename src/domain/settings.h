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

#endif
