# The expression networks of docs/models, from data to ONNX, in hours on two cores:
#   make networks FERPLUS=... FACES=... TRUNK=...      all of them
#   make runs/conv-cut-atto.onnx FERPLUS=...           one
#   make --dry-run networks FERPLUS=...                prints the commands
# FERPLUS is FER+ in a layout that training.prepare reads, FACES a folder of the detector's photographs
# (training/detector/photos.py), TRUNK the pre-trained trunk of the teacher (training/loop/trunk_weights.py).
# A step that was stopped goes on where it was; what is done is not made again.
RUNS ?= runs
NETWORKS := tkfnet-nano tkfnet-18-slim conv-cut-atto
CONFIG_tkfnet-nano := tkfnet-nano-distilled
given = $(or $($(1)),$(error give $(1)=..., see training/networks.mk))
train = $(PY) -m training.train $(RUNS)/ferplus

.PHONY: networks
.SECONDARY:
networks: $(NETWORKS:%=$(RUNS)/%.onnx) $(RUNS)/tkfnet-nano-int8.onnx

$(RUNS)/ferplus.done: | .venv/test.stamp
	$(PY) -m training.prepare $(call given,FERPLUS) --out $(RUNS)/ferplus
	@touch $@

$(RUNS)/teacher.done: $(RUNS)/ferplus.done
	$(train) --config teacher-mobilenet-v1 --init $(call given,TRUNK) \
	  --set options.size=112 --set early_size=80 --set validate_every=2 --out $(RUNS)/teacher
	@touch $@

$(RUNS)/marks.done: | .venv/test.stamp
	$(PY) -m training.mark_faces $(call given,FACES) --out $(RUNS)/marks
	@touch $@

$(RUNS)/faces.done: $(RUNS)/ferplus.done
	$(PY) -m training.cut_faces $(call given,FACES) --held-out $(RUNS)/ferplus --out $(RUNS)/faces
	@touch $@

$(RUNS)/views.done: $(RUNS)/teacher.done $(RUNS)/faces.done
	$(PY) -m training.distill $(RUNS)/ferplus --unlabelled $(RUNS)/faces --teachers $(RUNS)/teacher/checkpoint.pt \
	  --views 6 --aug-strength 0.9 0.35 --out $(RUNS)/views
	@touch $@

$(NETWORKS:%=$(RUNS)/%.done): $(RUNS)/%.done: $(RUNS)/views.done
	$(train) --config $(or $(CONFIG_$*),$*) --views $(RUNS)/views --out $(RUNS)/$*
	@touch $@

$(RUNS)/tkfnet-nano/checked/checkpoint.pt: $(RUNS)/tkfnet-nano.done $(RUNS)/marks.done
	$(PY) -m training.train_crop_check $(RUNS)/tkfnet-nano/checkpoint.pt $(RUNS)/ferplus --faces $(call given,FACES) \
	  --marks $(RUNS)/marks/marks.npz --out $(@D)

$(RUNS)/tkfnet-nano/adjusted/checkpoint.pt: $(RUNS)/tkfnet-nano/checked/checkpoint.pt
	$(PY) -m training.adjust_logits $< $(RUNS)/ferplus --json $(@D)/strengths.json --out $@

$(RUNS)/%/adjusted/checkpoint.pt: $(RUNS)/%.done
	$(PY) -m training.adjust_logits $(RUNS)/$*/checkpoint.pt $(RUNS)/ferplus --json $(@D)/strengths.json --out $@

$(RUNS)/%/evaluation/metrics.json: $(RUNS)/%/adjusted/checkpoint.pt
	$(PY) -m training.evaluate $< $(RUNS)/ferplus --out $(@D)

$(RUNS)/%.onnx: $(RUNS)/%/evaluation/metrics.json
	$(PY) -m export.onnx_from_checkpoint expression $(RUNS)/$*/adjusted/checkpoint.pt --data $(RUNS)/ferplus \
	  --name $* --metrics $< --out $@

$(RUNS)/tkfnet-nano-int8.onnx: $(RUNS)/tkfnet-nano.onnx
	$(PY) -m export.convert $< --precision int8-cpu --data $(RUNS)/ferplus --out $@
	$(PY) -m export.compare $< $@ --data $(RUNS)/ferplus
