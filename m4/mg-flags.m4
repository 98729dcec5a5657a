# SPDX-License-Identifier: LGPL-2.1-or-later

# MG_COMPILE_FLAGS(VARIABLE, FLAGS): appends each flag that the compiler takes.
AC_DEFUN([MG_COMPILE_FLAGS], [
  for mg_flag in $2; do
    AX_MG_TRY_FLAG([CFLAGS], [$mg_flag], [$1="$$1 $mg_flag"])
  done
  AC_SUBST([$1])
])

# MG_LINK_FLAGS(VARIABLE, FLAGS): the same for the linker.
AC_DEFUN([MG_LINK_FLAGS], [
  for mg_flag in $2; do
    AX_MG_TRY_FLAG([LDFLAGS], [$mg_flag], [$1="$$1 $mg_flag"])
  done
  AC_SUBST([$1])
])

# Tries one flag in CFLAGS or LDFLAGS, with warnings as errors: clang only warns about
# flags it does not know.
AC_DEFUN([AX_MG_TRY_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  mg_saved_CFLAGS="$CFLAGS"
  mg_saved_LDFLAGS="$LDFLAGS"
  CFLAGS="$CFLAGS -Werror"
  $1="$$1 $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [mg_taken=yes], [mg_taken=no])
  CFLAGS="$mg_saved_CFLAGS"
  LDFLAGS="$mg_saved_LDFLAGS"
  AC_MSG_RESULT([$mg_taken])
  AS_IF([test "$mg_taken" = yes], [$3])
])
