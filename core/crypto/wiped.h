/* SPDX-License-Identifier: MIT */
#ifndef ARC_WIPED_H
#define ARC_WIPED_H

/* From now on OpenSSL wipes what it frees: keys and tokens pass through its
 * buffers. Without effect where somebody in this process has used it before. */
void arc_crypto_wipe_memory(void);

#endif
