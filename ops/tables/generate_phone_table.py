#!/usr/bin/python3
"""Writes processor/engine/phone_table.inc from the metadata of python3-phonenumbers.

Run by hand, never by the build: the table decides which numbers are accepted, so a new one is a new
engine version. A row is one country calling code: its main region ("" for codes that belong to no
country) and the lengths a national number may have, over all regions that share the code, as bits
(bit n = n digits). Left out: lengths beyond the 15 digits of E.164, and lengths that only access
and voicemail services have, which no message reaches (they would let +1 pass without an area code).

usage: ops/tables/generate_phone_table.py > processor/engine/phone_table.inc
"""

import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE as REGIONS_OF_CODE

E164_DIGITS_MAX = 15
WORLD = "001"
KINDS = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number",
         "voip", "pager")  # All but uan and voicemail.


def metadata_of(code, region):
    if region == WORLD:
        return PhoneMetadata.metadata_for_nongeo_region(code)
    return PhoneMetadata.metadata_for_region(region)


def reachable_lengths(metadata):
    """The possible lengths of a region that a number of one of KINDS can have."""
    general = metadata.general_desc.possible_length
    found = set()
    for kind in KINDS:
        desc = getattr(metadata, kind)
        if desc is None or desc.possible_length == (-1,):
            continue
        found.update(desc.possible_length or general)
    return found & set(general)


def length_bits(code):
    bits = 0
    for region in REGIONS_OF_CODE[code]:
        for length in reachable_lengths(metadata_of(code, region)):
            if length <= E164_DIGITS_MAX - len(str(code)):
                bits |= 1 << length
    return bits


def main():
    print("// Made by ops/tables/generate_phone_table.py from the metadata of python3-phonenumbers")
    print(f"// {phonenumbers.__version__}. Never edit; make a new one only with a new engine "
          "version.")
    print("// clang-format off")
    for code in sorted(REGIONS_OF_CODE):
        region = REGIONS_OF_CODE[code][0]
        name = "" if region == WORLD else region
        bits = length_bits(code)
        if bits != 0:
            print(f'{{{code}, 0x{bits:04x}, "{name}"}},')
    print("// clang-format on")


if __name__ == "__main__":
    main()
