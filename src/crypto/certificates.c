#include "crypto/certificates.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "base/banned.h"

bool certificates_load(const char *path)
{
	X509_STORE *store = X509_STORE_new();
	bool good = store && X509_STORE_load_file(store, path) == 1;

	X509_STORE_free(store);
	ERR_clear_error();
	return good;
}
