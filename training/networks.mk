# The expression networks of docs/models, from data to ONNX, in hours on two cores:
#   make networks FERPLUS=... FACES=... TRUNK=...                            all of them
#   make runs/networks/conv-cut-atto.onnx FERPLUS=... FACES=... TRUNK=...    one
#   make --dry-run networks FERPLUS=... FACES=... TRUNK=...                  prints the commands
# FERPLUS is FER+ in a layout that training.prepare reads, FACES a folder of the detector's photographs
# (training/detector/photos.py), TRUNK the pre-trained trunk of the teacher (training/loop/trunk_weights.py).
# RUNS is the folder for everything; DISTILL has more options of training.distill (--precision bfloat16).
# Steps that are done are not done again. Training and distillation go on where they were stopped.
RUNS ?= runs/networks
NETWORKS := tkfnet-nano tkfnet-18-slim conv-cut-atto
CONFIG_tkfnet-nano := tkfnet-nano-distilled
INPUTS := FERPLUS FACES TRUNK
given = '$(or $($(1)),$(error give $(1)=..., see training/networks.mk))'
train = $(PY) -m training.train $(RUNS)/ferplus

.PHONY: networks
networks: $(NETWORKS:%=$(RUNS)/%.onnx) $(RUNS)/tkfnet-nano-int8.onnx

# The first step of all: a missing input is named before hours of work.
$(RUNS)/ferplus.done: | .venv/test.stamp
	@for path in $(foreach input,$(INPUTS),$(call given,$(input))); do \
	  test -e "$$path" || { echo "$$path does not exist; see training/networks.mk" >&2; exit 1; }; done
	$(PY) -m training.prepare $(call given,FERPLUS) --out $(RUNS)/ferplus
	@touch $@

$(RUNS)/teacher.done: $(RUNS)/ferplus.done
	$(train) --config teacher-mobilenet-v1 --init $(call given,TRUNK) \
	  --set options.size=112 --set early_size=80 --set validate_every=2 --out $(RUNS)/teacher
	@touch $@

$(RUNS)/faces.done: $(RUNS)/ferplus.done
	$(PY) -m training.cut_faces $(call given,FACES) --held-out $(RUNS)/ferplus --out $(RUNS)/faces
	@touch $@

$(RUNS)/marks.done: $(RUNS)/ferplus.done
	$(PY) -m training.mark_faces $(call given,FACES) --out $(RUNS)/marks
	@touch $@

$(RUNS)/views.done: $(RUNS)/teacher.done $(RUNS)/faces.done
	$(PY) -m training.distill $(RUNS)/ferplus --unlabelled $(RUNS)/faces --teachers $(RUNS)/teacher/checkpoint.pt \
	  --views 6 --aug-strength 0.9 0.35 $(DISTILL) --out $(RUNS)/views
	@touch $@

$(NETWORKS:%=$(RUNS)/%.done): $(RUNS)/%.done: $(RUNS)/views.done
	$(train) --config $(or $(CONFIG_$*),$*) --views $(RUNS)/views --out $(RUNS)/$*
	@touch $@

$(RUNS)/tkfnet-nano/checked.done: $(RUNS)/tkfnet-nano.done $(RUNS)/marks.done
	$(PY) -m training.train_crop_check $(RUNS)/tkfnet-nano/checkpoint.pt $(RUNS)/ferplus --faces $(call given,FACES) \
	  --marks $(RUNS)/marks/marks.npz --out $(RUNS)/tkfnet-nano/checked
	@touch $@

# Only nano has a crop check.
CHECKED := $(RUNS)/tkfnet-nano/checked/checkpoint.pt
$(RUNS)/tkfnet-nano/adjusted.done: $(RUNS)/tkfnet-nano/checked.done
$(NETWORKS:%=$(RUNS)/%/adjusted.done): $(RUNS)/%/adjusted.done: $(RUNS)/%.done
	$(PY) -m training.adjust_logits $(if $(filter tkfnet-nano,$*),$(CHECKED),$(RUNS)/$*/checkpoint.pt) $(RUNS)/ferplus \
	  --json $(RUNS)/$*/adjusted/strengths.json --out $(RUNS)/$*/adjusted/checkpoint.pt
	@touch $@

$(NETWORKS:%=$(RUNS)/%/evaluated.done): $(RUNS)/%/evaluated.done: $(RUNS)/%/adjusted.done
	$(PY) -m training.evaluate $(RUNS)/$*/adjusted/checkpoint.pt $(RUNS)/ferplus --out $(RUNS)/$*/evaluation
	@touch $@

$(NETWORKS:%=$(RUNS)/%.onnx): $(RUNS)/%.onnx: $(RUNS)/%/evaluated.done
	$(PY) -m export.onnx_from_checkpoint expression $(RUNS)/$*/adjusted/checkpoint.pt --data $(RUNS)/ferplus \
	  --name $* --metrics $(RUNS)/$*/evaluation/metrics.json --out $@

$(RUNS)/tkfnet-nano-int8.onnx: $(RUNS)/tkfnet-nano.onnx
	$(PY) -m export.convert $< --precision int8-cpu --data $(RUNS)/ferplus --out $@
	$(PY) -m export.compare $< $@ --data $(RUNS)/ferplus
