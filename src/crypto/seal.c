#include "crypto/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "crypto/digest.h"
#include "crypto/keyring_internal.h"
#include "crypto/random.h"

#include "base/banned.h"

#define FORMAT "v1."
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define OVERHEAD (NONCE_BYTES + TAG_BYTES)
#define LABEL "seal"

/* Where the base64url text begins. */
#define HEAD_LEN (SEAL_HEAD_SIZE - 1)

/* LABEL NUL table NUL column NUL row; what follows LABEL's NUL is the associated data. */
static void put_place(const struct seal_place *place, struct strbuf *info)
{
	strbuf_put(info, LABEL, sizeof(LABEL));
	strbuf_put(info, place->table, strlen(place->table) + 1);
	strbuf_put(info, place->column, strlen(place->column) + 1);
	strbuf_puts(info, place->row);
}

/* Readies the cipher for one value of @place: key, nonce, associated data. */
static enum err begin(const struct keyring *keyring, size_t index, const struct seal_place *place,
		      const unsigned char *nonce, bool encrypts)
{
	CLEANUP(strbuf_release) struct strbuf info = STRBUF_INIT(KEYRING_INFO_MAX);
	EVP_CIPHER_CTX *ctx = keyring->cipher_ctx;
	unsigned char key[KEYRING_KEY_SIZE];
	int len = 0, done;
	enum err err;

	put_place(place, &info);
	if (!strbuf_ok(&info))
		return ERR_LIMIT;
	err = keyring_derive(keyring, index, info.data, info.len, key);
	if (err)
		return err;
	/* The nonce's length is GCM's default, 12 bytes. */
	done = EVP_CipherInit_ex2(ctx, keyring->aes_256_gcm, key, nonce, encrypts, NULL) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &len, (const unsigned char *)info.data + sizeof(LABEL),
				(int)(info.len - sizeof(LABEL))) == 1;
	explicit_bzero(key, sizeof(key));
	return done ? ERR_OK : ERR_INTERNAL;
}

static enum err encrypt(const struct keyring *keyring, const struct seal_place *place,
			const char *plain, size_t len, unsigned char *box)
{
	EVP_CIPHER_CTX *ctx = keyring->cipher_ctx;
	unsigned char *body = box + NONCE_BYTES;
	int got = 0, rest = 0;
	enum err err = random_bytes(box, NONCE_BYTES);

	if (!err)
		err = begin(keyring, KEYRING_CURRENT, place, box, true);
	if (err)
		return err;
	if (EVP_CipherUpdate(ctx, body, &got, (const unsigned char *)plain, (int)len) != 1 ||
	    EVP_CipherFinal_ex(ctx, body + got, &rest) != 1 || (size_t)got + (size_t)rest != len ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, body + len) != 1)
		return ERR_INTERNAL;
	return ERR_OK;
}

void seal_head(const struct keyring *keyring, char *ret_head)
{
	snprintf(ret_head, SEAL_HEAD_SIZE, FORMAT "%s.", keyring_id(keyring, KEYRING_CURRENT));
}

enum err seal(const struct keyring *keyring, const struct seal_place *place, const char *plain,
	      char **ret_text)
{
	size_t len = strlen(plain);
	CLEANUP(mem_free_ptr) unsigned char *box = NULL;
	char *text;
	enum err err;

	if (len > SEAL_PLAIN_MAX)
		return ERR_LIMIT;
	box = mem_alloc(len + OVERHEAD);
	err = encrypt(keyring, place, plain, len, box);
	EVP_CIPHER_CTX_reset(keyring->cipher_ctx); /* wipes the key */
	if (err)
		return err;
	text = mem_alloc(HEAD_LEN + BASE64URL_SIZE(len + OVERHEAD));
	seal_head(keyring, text);
	base64url_encode(box, len + OVERHEAD, text + HEAD_LEN);
	*ret_text = text;
	return ERR_OK;
}

/* Is @text, without the head, long enough for nonce and tag, and base64url throughout? */
static bool is_box(const char *text)
{
	size_t len = strlen(text);

	return len >= BASE64URL_SIZE(OVERHEAD) - 1 && strspn(text, BASE64URL_ALPHABET) == len;
}

/* "v1.", eight hexadecimal digits, "."? */
static bool has_head(const char *text)
{
	const char *id = text + sizeof(FORMAT) - 1;

	return !strncmp(text, FORMAT, sizeof(FORMAT) - 1) &&
	       strspn(id, "0123456789abcdef") == KEY_ID_SIZE - 1 && id[KEY_ID_SIZE - 1] == '.';
}

static enum err decrypt(const struct keyring *keyring, size_t index, const struct seal_place *place,
			unsigned char *box, size_t box_len, char *plain)
{
	EVP_CIPHER_CTX *ctx = keyring->cipher_ctx;
	size_t len = box_len - OVERHEAD;
	unsigned char *tag = box + box_len - TAG_BYTES;
	int got = 0, rest = 0;
	enum err err = begin(keyring, index, place, box, false);

	if (err)
		return err;
	if (EVP_CipherUpdate(ctx, (unsigned char *)plain, &got, box + NONCE_BYTES, (int)len) != 1 ||
	    (size_t)got != len ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1)
		return ERR_INTERNAL;
	if (EVP_CipherFinal_ex(ctx, (unsigned char *)plain + got, &rest) != 1)
		return ERR_SEALED_VALUE_DAMAGED;
	/* A string was sealed. */
	return memchr(plain, '\0', len) ? ERR_SEALED_VALUE_DAMAGED : ERR_OK;
}

enum err unseal(const struct keyring *keyring, const struct seal_place *place, const char *text,
		struct secret *ret_plain)
{
	CLEANUP(secret_release) struct secret plain = { 0 };
	CLEANUP(mem_free_ptr) unsigned char *box = NULL;
	size_t box_size, box_len = 0, index = 0;
	bool decoded;
	enum err err;

	if (!has_head(text))
		return ERR_SEALED_VALUE_MALFORMED;
	box_size = BASE64URL_BYTES(strlen(text + HEAD_LEN));
	if (box_size > SEAL_PLAIN_MAX + OVERHEAD)
		return is_box(text + HEAD_LEN) ? ERR_LIMIT : ERR_SEALED_VALUE_MALFORMED;
	box = mem_alloc(box_size + 1);
	decoded = base64url_decode(text + HEAD_LEN, box, &box_len) && box_len >= OVERHEAD;
	if (!decoded && !is_box(text + HEAD_LEN))
		return ERR_SEALED_VALUE_MALFORMED;
	err = keyring_find(keyring, text + sizeof(FORMAT) - 1, &index);
	if (err)
		return err;
	/* Cut short it may end where no text of base64url does. */
	if (!decoded)
		return ERR_SEALED_VALUE_DAMAGED;
	plain.len = box_len - OVERHEAD;
	plain.data = mem_alloc(plain.len + 1);
	err = decrypt(keyring, index, place, box, box_len, plain.data);
	EVP_CIPHER_CTX_reset(keyring->cipher_ctx); /* wipes the key */
	if (!err)
		secret_move(ret_plain, &plain);
	return err;
}

bool seal_is_current(const struct keyring *keyring, const char *text)
{
	return has_head(text) && !strncmp(text + sizeof(FORMAT) - 1,
					  keyring_id(keyring, KEYRING_CURRENT), KEY_ID_SIZE - 1);
}
