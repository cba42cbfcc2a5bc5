#ifndef BASE_KEY_STRENGTH_H
#define BASE_KEY_STRENGTH_H

/*
 * What makes @key one that can be guessed: too short, a placeholder out of somebody's
 * documentation, too few different characters, a repetition or a sequence. A phrase that follows
 * the variable's name, and does not show the key; NULL: nothing was found.
 */
const char *key_weakness(const char *key);

#endif
