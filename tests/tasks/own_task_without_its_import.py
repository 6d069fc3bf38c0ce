"""A task whose author's machine has a library that this one lacks."""

import a_module_that_is_not_there

make = a_module_that_is_not_there.make
