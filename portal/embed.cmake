# FROM, or nothing when there is no such file, becomes TO; TO stays as it is where that changes nothing.
get_filename_component(folder ${TO} DIRECTORY)
file(MAKE_DIRECTORY ${folder})
if(NOT EXISTS ${FROM})
  file(WRITE ${TO}.none "")
  set(FROM ${TO}.none)
endif()
file(COPY_FILE ${FROM} ${TO} ONLY_IF_DIFFERENT)
