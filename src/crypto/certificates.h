#ifndef CRYPTO_CERTIFICATES_H
#define CRYPTO_CERTIFICATES_H

#include <stdbool.h>

/* Does the file @path hold at least one certificate (PEM), as libcurl will want it to? */
bool certificates_load(const char *path);

#endif
