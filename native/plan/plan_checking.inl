// Plan: whether what was built fits together. Included by plan.cpp.

template <class T>
void Plan<T>::require_building() const {
  if (stage_ != Stage::building) throw std::invalid_argument("the plan is finished already: nothing can be added or changed");
}

template <class T>
int Plan<T>::memory_of(int i) const {
  while (value(i).memory_of >= 0) i = value(i).memory_of;
  return i;
}

// The activation of value i, or f' of the one that made it, and what it is computed from.
template <class T>
void Plan<T>::check_post(const Post<T>& post, int saved, int i) const {
  if (saved >= 0) value(saved);
  if (post.kind == Act::identity) return;
  require(saved >= 0 && same_size(value(saved).shape, value(i).shape),
          "an activation needs a saved value of the shape it is applied to");
}

template <class T>
void Plan<T>::check_loss() const {
  if (output_ < 0) return;
  const Value& output = value(output_);
  check_post(loss_post_, loss_saved_, output_);
  require(output_activation_ < 0 || same_size(value(output_activation_).shape, output.shape),
          "the activation of an output must have its shape");
  require(loss_kind_ != -2 || host.call, "a loss of the host needs set_host");
}

// What no operation sees by itself; everything that runs has passed here.
template <class T>
void Plan<T>::check() const {
  if (wanted_parameters_ > most_parameters)
    throw std::length_error("the parameters of this plan would need more memory than can be addressed");
  std::vector<bool> written(values_.size());
  if (input_ >= 0) written[size_t(memory_of(input_))] = true;
  for (const auto& o : operations_) {
    const Value& z = value(o->z);
    for (const int i : o->reads())
      require(written[size_t(memory_of(i))], "an operation reads a value that no operation before it writes");
    check_post(o->post, o->saved, o->z), check_post(o->input_post, o->input_saved, o->x);
    require(!o->hands_down(*this) || z.with_delta, "an operation that hands a δ down needs one of its output");
    o->check(*this);
    std::vector<int> writes = o->writes();
    if (o->post.kind != Act::identity && o->saved != o->z) writes.push_back(o->saved);
    for (const int i : writes) {
      require(!written[size_t(memory_of(i))], "two operations write one value");
      written[size_t(memory_of(i))] = true;
    }
  }
  check_loss();
}
