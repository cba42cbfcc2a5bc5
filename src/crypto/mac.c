#include "crypto/mac.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "base/banned.h"

enum err mac_sign(const struct keyring *keyring, size_t index, const char *label, const char *text,
		  unsigned char *ret_mac)
{
	unsigned char key[KEYRING_KEY_SIZE];
	const unsigned char *done;
	unsigned int len = 0;
	enum err err = keyring_derive(keyring, index, label, strlen(label), key);

	if (err)
		return err;
	done = HMAC(EVP_sha256(), key, sizeof(key), (const unsigned char *)text, strlen(text),
		    ret_mac, &len);
	explicit_bzero(key, sizeof(key));
	return done && len == MAC_SIZE ? ERR_OK : ERR_INTERNAL;
}

enum err mac_verify(const struct keyring *keyring, const char *label, const char *text,
		    const unsigned char *mac)
{
	unsigned char good[MAC_SIZE];

	for (size_t i = 0; i < keyring_count(keyring); i++) {
		enum err err = mac_sign(keyring, i, label, text, good);

		if (err)
			return err;
		if (!CRYPTO_memcmp(good, mac, MAC_SIZE))
			return ERR_OK;
	}
	return ERR_FORBIDDEN;
}
