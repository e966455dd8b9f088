/* SPDX-License-Identifier: MIT
 *
 * rdb/crc64.c - see crc64.h. Eight bytes at a time, by half bytes: the tables are 2 KiB, so that a
 * snapshot that runs beside commands leaves the first-level cache to them. Much is folded first,
 * where the processor can (base/fold.h).
 */
#include "rdb/crc64.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/fold.h"

/* What a half byte adds to the checksum when k more half bytes follow it: table[k]. */
static const uint64_t table[16][16] = {
    {
        0x0000000000000000,
        0x7d08ff3b88be6f81,
        0xfa11fe77117cdf02,
        0x8719014c99c2b083,
        0xdf7adabd7a6e2d6f,
        0xa2722586f2d042ee,
        0x256b24ca6b12f26d,
        0x5863dbf1e3ac9dec,
        0x95ac9329ac4bc9b5,
        0xe8a46c1224f5a634,
        0x6fbd6d5ebd3716b7,
        0x12b5926535897936,
        0x4ad64994d625e4da,
        0x37deb6af5e9b8b5b,
        0xb0c7b7e3c7593bd8,
        0xcdcf48d84fe75459,
    },
    {
        0x0000000000000000,
        0x7ad870c830358979,
        0xf5b0e190606b12f2,
        0x8f689158505e9b8b,
        0xc038e5739841b68f,
        0xbae095bba8743ff6,
        0x358804e3f82aa47d,
        0x4f50742bc81f2d04,
        0xab28ecb46814fe75,
        0xd1f09c7c5821770c,
        0x5e980d24087fec87,
        0x24407dec384a65fe,
        0x6b1009c7f05548fa,
        0x11c8790fc060c183,
        0x9ea0e857903e5a08,
        0xe478989fa00bd371,
    },
    {
        0x0000000000000000,
        0xef09eb1ea7f6fea3,
        0xf54af06e177a6e2d,
        0x1a431b70b08c908e,
        0xc1ccc68f76634f31,
        0x2ec52d91d195b192,
        0x348636e16119211c,
        0xdb8fddffc6efdfbf,
        0xa8c0ab4db4510d09,
        0x47c9405313a7f3aa,
        0x5d8a5b23a32b6324,
        0xb283b03d04dd9d87,
        0x690c6dc2c2324238,
        0x860586dc65c4bc9b,
        0x9c469dacd5482c15,
        0x734f76b272bed2b6,
    },
    {
        0x0000000000000000,
        0x89e99ffd73bddf69,
        0x388a19a9bfec2db9,
        0xb1638654cc51f2d0,
        0x711433537fd85b72,
        0xf8fdacae0c65841b,
        0x499e2afac03476cb,
        0xc077b507b389a9a2,
        0xe22866a6ffb0b6e4,
        0x6bc1f95b8c0d698d,
        0xdaa27f0f405c9b5d,
        0x534be0f233e14434,
        0x933c55f58068ed96,
        0x1ad5ca08f3d532ff,
        0xabb64c5c3f84c02f,
        0x225fd3a14c391f46,
    },
    {
        0x0000000000000000,
        0xe03af5edf3ce7bc2,
        0xeb2ccd88bf0b64ef,
        0x0b1638654cc51f2d,
        0xfd00bd4226815ab5,
        0x1d3a48afd54f2177,
        0x162c70ca998a3e5a,
        0xf61685276a444598,
        0xd1585cd715952601,
        0x3162a93ae65b5dc3,
        0x3a74915faa9e42ee,
        0xda4e64b25950392c,
        0x2c58e19533147cb4,
        0xcc621478c0da0776,
        0xc7742c1d8c1f185b,
        0x274ed9f07fd16399,
    },
    {
        0x0000000000000000,
        0xf4125129ce4038be,
        0xc37d8400c417e217,
        0x376fd5290a57daa9,
        0xada22e52d0b85745,
        0x59b07f7b1ef86ffb,
        0x6edfaa5214afb552,
        0x9acdfb7bdaef8dec,
        0x701d7af6f9e73de1,
        0x840f2bdf37a7055f,
        0xb360fef63df0dff6,
        0x4772afdff3b0e748,
        0xddbf54a4295f6aa4,
        0x29ad058de71f521a,
        0x1ec2d0a4ed4888b3,
        0xead0818d2308b00d,
    },
    {
        0x0000000000000000,
        0xbf8692f15bbd3853,
        0x545403b1efede3cd,
        0xebd29140b450db9e,
        0xa8a80763dfdbc79a,
        0x172e95928466ffc9,
        0xfcfc04d230362457,
        0x437a96236b8b1c04,
        0x7a092894e7201c5f,
        0xc58fba65bc9d240c,
        0x2e5d2b2508cdff92,
        0x91dbb9d45370c7c1,
        0xd2a12ff738fbdbc5,
        0x6d27bd066346e396,
        0x86f52c46d7163808,
        0x3973beb78cab005b,
    },
    {
        0x0000000000000000,
        0x8ce168638c796306,
        0x329bf69440655567,
        0xbe7a9ef7cc1c3661,
        0x6537ed2880caaace,
        0xe9d6854b0cb3c9c8,
        0x57ac1bbcc0afffa9,
        0xdb4d73df4cd69caf,
        0xca6fda510195559c,
        0x468eb2328dec369a,
        0xf8f42cc541f000fb,
        0x741544a6cd8963fd,
        0xaf583779815fff52,
        0x23b95f1a0d269c54,
        0x9dc3c1edc13aaa35,
        0x1122a98e4d43c933,
    },
    {
        0x0000000000000000,
        0x2da5324c53d5645d,
        0x5b4a6498a7aac8ba,
        0x76ef56d4f47face7,
        0xb694c9314f559174,
        0x9b31fb7d1c80f529,
        0xeddeada9e8ff59ce,
        0xc07b9fe5bb2a3d93,
        0x4670b431c63cb183,
        0x6bd5867d95e9d5de,
        0x1d3ad0a961967939,
        0x309fe2e532431d64,
        0xf0e47d00896920f7,
        0xdd414f4cdabc44aa,
        0xabae19982ec3e84d,
        0x860b2bd47d168c10,
    },
    {
        0x0000000000000000,
        0x3504e58b9ba6dd1e,
        0x6a09cb17374dba3c,
        0x5f0d2e9caceb6722,
        0xd413962e6e9b7478,
        0xe11773a5f53da966,
        0xbe1a5d3959d6ce44,
        0x8b1eb8b2c270135a,
        0x837e0a0f85a17b9b,
        0xb67aef841e07a685,
        0xe977c118b2ecc1a7,
        0xdc732493294a1cb9,
        0x576d9c21eb3a0fe3,
        0x626979aa709cd2fd,
        0x3d645736dc77b5df,
        0x0860b2bd47d168c1,
    },
    {
        0x0000000000000000,
        0xb397f9bb7ee35609,
        0x4c76d525a5513f79,
        0xffe12c9edbb26970,
        0x98edaa4b4aa27ef2,
        0x2b7a53f0344128fb,
        0xd49b7f6eeff3418b,
        0x670c86d591101782,
        0x1a8272c5cdd36e8f,
        0xa9158b7eb3303886,
        0x56f4a7e0688251f6,
        0xe5635e5b166107ff,
        0x826fd88e8771107d,
        0x31f82135f9924674,
        0xce190dab22202f04,
        0x7d8ef4105cc3790d,
    },
    {
        0x0000000000000000,
        0xe39d1389931b9354,
        0xec6301407ea0b5c3,
        0x0ffe12c9edbb2697,
        0xf39f24d3a5d6f8ed,
        0x1002375a36cd6bb9,
        0x1ffc2593db764d2e,
        0xfc61361a486dde7a,
        0xcc676ff4133a62b1,
        0x2ffa7c7d8021f1e5,
        0x20046eb46d9ad772,
        0xc3997d3dfe814426,
        0x3ff84b27b6ec9a5c,
        0xdc6558ae25f70908,
        0xd39b4a67c84c2f9f,
        0x300659ee5b57bccb,
    },
    {
        0x0000000000000000,
        0xd1430b85e35f945a,
        0x89df31589e28bbdf,
        0x589c3add7d772f85,
        0x38e744e264c6e4d5,
        0xe9a44f678799708f,
        0xb13875bafaee5f0a,
        0x607b7e3f19b1cb50,
        0x71ce89c4c98dc9aa,
        0xa08d82412ad25df0,
        0xf811b89c57a57275,
        0x2952b319b4fae62f,
        0x4929cd26ad4b2d7f,
        0x986ac6a34e14b925,
        0xc0f6fc7e336396a0,
        0x11b5f7fbd03c02fa,
    },
    {
        0x0000000000000000,
        0x62a95de6e302eff2,
        0xc552bbcdc605dfe4,
        0xa7fbe62b25073016,
        0xa1fc51c8d49c2ca3,
        0xc3550c2e379ec351,
        0x64aeea051299f347,
        0x0607b7e3f19b1cb5,
        0x68a185c2f1afca2d,
        0x0a08d82412ad25df,
        0xadf33e0f37aa15c9,
        0xcf5a63e9d4a8fa3b,
        0xc95dd40a2533e68e,
        0xabf489ecc631097c,
        0x0c0f6fc7e336396a,
        0x6ea632210034d698,
    },
    {
        0x0000000000000000,
        0xfc3b6ba97f4cf1fd,
        0xd32ff101a60e7091,
        0x2f149aa8d942816c,
        0x8d06c450148b7249,
        0x713daff96bc783b4,
        0x5e293551b28502d8,
        0xa2125ef8cdc9f325,
        0x3154aef3718177f9,
        0xcd6fc55a0ecd8604,
        0xe27b5ff2d78f0768,
        0x1e40345ba8c3f695,
        0xbc526aa3650a05b0,
        0x4069010a1a46f44d,
        0x6f7d9ba2c3047521,
        0x9346f00bbc4884dc,
    },
    {
        0x0000000000000000,
        0x381d0015c96f4444,
        0x703a002b92de8888,
        0x4827003e5bb1cccc,
        0xe074005725bd1110,
        0xd8690042ecd25554,
        0x904e007cb7639998,
        0xa85300697e0cdddc,
        0xebb126fd13edb14b,
        0xd3ac26e8da82f50f,
        0x9b8b26d6813339c3,
        0xa39626c3485c7d87,
        0x0bc526aa3650a05b,
        0x33d826bfff3fe41f,
        0x7bff2681a48e28d3,
        0x43e226946de16c97,
    },
};

static uint64_t add_byte(uint64_t crc, unsigned char byte)
{
    uint64_t low = (crc ^ byte) & 0xff;
    SHOAL_DEBUG_ASSERT(low <= 0xff);
    return (crc >> 8) ^ table[1][low & 15] ^ table[0][low >> 4];
}

static uint64_t add_word(uint64_t crc, uint64_t word)
{
    uint64_t bits = crc ^ word, sum = 0;
    for (uint32_t i = 0; i < 16; i++) sum ^= table[15 - i][bits >> (4 * i) & 15];
    return sum;
}

uint64_t shoal_crc64(uint64_t crc, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    const char *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; left -= 8, at += 8) crc = add_word(crc, shoal_bytes_get_le64(at));
    for (; left > 0; left--, at++) crc = add_byte(crc, (unsigned char)*at);
    return crc;
}

/* Powers of x modulo the polynomial, reflected. */
static const shoal_fold_powers powers = {.far_first = 0xaf86efb16d9ab4fb,
                                         .far_second = 0xf49784a634f014e4,
                                         .near_first = 0xd9d7be7d505da32c,
                                         .near_second = 0x381d0015c96f4444};

/* Fewer bytes are not worth folding: chosen. */
#define FOLDED_MIN (2 * SHOAL_FOLD_BYTES)

/* Folds what can be of `bytes`, and takes it off. */
static uint64_t fold(uint64_t crc, shoal_slice *bytes)
{
    char rest[SHOAL_FOLD_REST];
    size_t size = bytes->size - bytes->size % SHOAL_FOLD_BYTES;
    SHOAL_DEBUG_ASSERT(size >= FOLDED_MIN);
    shoal_fold(&powers, crc, (shoal_slice){bytes->data, size}, rest);
    *bytes = (shoal_slice){bytes->data + size, bytes->size - size};
    return shoal_crc64(0, (shoal_slice){rest, sizeof(rest)});
}

void shoal_crc64_prepare(shoal_crc64_tables *tables)
{
    SHOAL_ASSERT(tables != NULL);
    tables->folds = shoal_fold_can();
    for (uint32_t byte = 0; byte < 256; byte++)
        tables->of[0][byte] = add_byte(0, (unsigned char)byte);
    for (uint32_t k = 1; k < 8; k++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint64_t before = tables->of[k - 1][byte];
            tables->of[k][byte] = (before >> 8) ^ tables->of[0][before & 0xff];
        }
    }
}

uint64_t shoal_crc64_by(const shoal_crc64_tables *tables, uint64_t crc, shoal_slice bytes)
{
    SHOAL_ASSERT(tables->of[0][1] != 0);
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (tables->folds && bytes.size >= FOLDED_MIN) crc = fold(crc, &bytes);
    const char *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t bits = crc ^ shoal_bytes_get_le64(at);
        crc = tables->of[7][bits & 0xff] ^ tables->of[6][bits >> 8 & 0xff] ^
              tables->of[5][bits >> 16 & 0xff] ^ tables->of[4][bits >> 24 & 0xff] ^
              tables->of[3][bits >> 32 & 0xff] ^ tables->of[2][bits >> 40 & 0xff] ^
              tables->of[1][bits >> 48 & 0xff] ^ tables->of[0][bits >> 56];
    }
    for (; left > 0; left--, at++)
        crc = (crc >> 8) ^ tables->of[0][(crc ^ (unsigned char)*at) & 0xff];
    return crc;
}
