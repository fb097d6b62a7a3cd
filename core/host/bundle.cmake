# SPDX-License-Identifier: MIT
# Writes OUT, a C file that holds each of FILES (below ROOT) as a byte array
# and the table arc_bundle of { module name, bytes, length }. A file of
# elsewhere is a module of its own name.
set(arrays "")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  file(RELATIVE_PATH name ${ROOT} ${file})
  if(name MATCHES "^\\.\\./")
    get_filename_component(name ${file} NAME)
  endif()
  string(REGEX REPLACE "(/init)?\\.lua$" "" name ${name})
  string(REPLACE "/" "." name ${name})
  file(READ ${file} hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR length "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays
         "static const unsigned char f${number}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${name}\", f${number}, ${length}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "/* Made from lua/ by core/host/bundle.cmake. */
#include \"host/bundle.h\"

${arrays}
const struct arc_bundled arc_bundle[] = {
${rows}    {0, 0, 0}};
")
