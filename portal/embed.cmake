# FROM, or nothing when there is no such file, becomes TO; TO stays as it is where that changes nothing.
if(NOT EXISTS ${FROM})
  file(WRITE ${TO}.none "")
  set(FROM ${TO}.none)
endif()
file(COPY_FILE ${FROM} ${TO} ONLY_IF_DIFFERENT)
