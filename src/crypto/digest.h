#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define SHA256_SIZE 32

/* ERR_INTERNAL: OpenSSL refused. */
MUST_CHECK enum err digest_sha256(const void *data, size_t len, unsigned char *ret_digest);

/* RFC 4648 section 5, in the order of the values. */
#define BASE64URL_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* Bytes of the text of @n bytes, its NUL included; no padding. */
#define BASE64URL_SIZE(n) (((n)*4 + 2) / 3 + 1)

void base64url_encode(const unsigned char *data, size_t len, char *ret_text);

/* Most bytes that a text of @n characters stands for. */
#define BASE64URL_BYTES(n) ((n) / 4 * 3 + (n) % 4)

/* Decodes @text into @ret_data, which has room for BASE64URL_BYTES(strlen(@text)). false: it is
 * not what base64url_encode() writes (no padding, no spare bits that are set, nothing else). */
MUST_CHECK bool base64url_decode(const char *text, unsigned char *ret_data, size_t *ret_len);

/* Writes @len bytes at @data in lower-case hexadecimal; @ret_text has room for 2 * @len + 1. */
void hex_encode(const unsigned char *data, size_t len, char *ret_text);

/* Bytes of the text of digest_sha256_hex(), its NUL included. */
#define SHA256_HEX_SIZE (2 * SHA256_SIZE + 1)

/* SHA-256 of the string @s in lower-case hexadecimal, as PostgreSQL writes bytea after "\x". */
MUST_CHECK enum err digest_sha256_hex(const char *s, char *ret_text);

#endif
